// Package desk owns Tocsin on somebody's own computer: the front, which is the one address that the window shows, and behind it the room chosen (that in
// this computer, or one elsewhere), the settings, the menu, and what the computer does when something happens. It knows no window system: what only that
// can do is a Shell. It holds no rule of incidents and never asks a page to be trusted.
package desk
