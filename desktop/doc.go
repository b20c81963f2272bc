// Command desktop is Tocsin as a program with a window, for one person on one
// machine: it runs internal/app on a free loopback port, with its data in the
// user's configuration directory, and shows it in one Wails window. The window
// is a browser at that port and nothing else: the program gives the page no Go
// method, holds no rule of its own, and ends when the window closes.
//
// It is built with the tags desktop, production and, on Linux, webkit2_41
// (make desktop); without them the program is a stub, so that everybody else
// builds without GTK. The tagged build has no tests in CI yet: it is looked at
// by hand, under Xvfb.
package main
