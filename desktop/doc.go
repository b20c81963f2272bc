// Command desktop is Tocsin as a program with a window. What it shows, which room, and when it calls for attention is decided by internal/desk; here is
// its Shell: one window that is a browser at desk's address and at no other, the menu, files, paper, where the window stands, and (in native) what the
// desktop around it does. The program gives the page no Go method and holds no rule of its own.
//
// It is built with the tags desktop, production and, on Linux, webkit2_41 (make desktop); without them the program is a stub, so that everybody else
// builds without GTK. The window itself is tested under Xvfb by internal/e2e; what needs no window is tested here.
package main
