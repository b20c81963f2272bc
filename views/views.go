// Package views owns what people look at: the view-model structs of every page and region and the templ
// components that turn them into HTML; it never fetches, decides, formats per viewer or imports another
// package of this module.
//
// Rules that hold for every component here:
//   - A region component renders exactly one element whose id is the region's frame key. The page embeds that
//     very component, so the bytes pushed over the live socket are the bytes of the page.
//   - Regions never depend on who looks. What is "mine", what I may press and which local time I read is decided
//     in the browser from attributes on <body>.
//   - Times are unix milliseconds UTC (0 = unknown). Components print absolute UTC text; the one clock in the
//     browser turns ages, elapsed times and countdowns into running text.
//   - No inline style, script or on* attribute is ever produced (the content security policy forbids them).
package views

//go:generate go tool templ generate -path .
