// Package native owns what the desktop around a program does for it and no toolkit is needed for: notifications, the badge, a display that stays
// awake, sound, start with the computer, and that there is one instance. It knows nothing of incidents and never touches a window.
package native
