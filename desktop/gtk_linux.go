//go:build desktop

package main

/*
#cgo CFLAGS: -Wno-deprecated-declarations
#cgo pkg-config: gtk+-3.0 webkit2gtk-4.1
#include <stdlib.h>
#include "gtk_linux.h"
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// onGTK runs f on the thread of the toolkit, soon; it does not wait.
func onGTK(f func()) { C.tocsin_soon(C.uintptr_t(cgo.NewHandle(f)), 0) }

// onGTKLater runs f after what the toolkit put off itself when the window was made.
func onGTKLater(f func()) { C.tocsin_soon(C.uintptr_t(cgo.NewHandle(f)), 1) }

//export tocsinCall
func tocsinCall(call C.uintptr_t) {
	h := cgo.Handle(call)
	f := h.Value().(func())
	h.Delete()
	f()
}

// gtk is what the toolkit reports; set before the window is made, called on its thread, so none may block.
var gtk struct {
	ours       func(uri string) bool
	elsewhere  func(uri string)
	died       func(reason string)
	moved      func(area, bool, bool)
	chosen     func(id string)
	menuClosed func()
	file       func(dir, suggested string) string
	fetched    func(path, problem string)
	printed    func(uri, problem string)
	folder     func(path string)
}

//export tocsinOurs
func tocsinOurs(uri *C.char) C.int { return flag(gtk.ours(C.GoString(uri))) }

//export tocsinElsewhere
func tocsinElsewhere(uri *C.char) { gtk.elsewhere(C.GoString(uri)) }

//export tocsinDied
func tocsinDied(reason C.int) {
	why := map[C.int]string{C.WEBKIT_WEB_PROCESS_CRASHED: "it crashed", C.WEBKIT_WEB_PROCESS_EXCEEDED_MEMORY_LIMIT: "it used too much memory",
		C.WEBKIT_WEB_PROCESS_TERMINATED_BY_API: "it did not answer for 30 seconds"}
	gtk.died(why[reason])
}

//export tocsinUnloaded
func tocsinUnloaded(problem *C.char) { gtk.died(C.GoString(problem)) }

//export tocsinMoved
func tocsinMoved(x, y, width, height, maximised, fullscreen C.int) {
	gtk.moved(area{int(x), int(y), int(width), int(height)}, maximised != 0, fullscreen != 0)
}

//export tocsinMenu
func tocsinMenu(id *C.char) { gtk.chosen(C.GoString(id)) }

//export tocsinMenuClosed
func tocsinMenuClosed() { gtk.menuClosed() }

// The answer is freed by the caller; nil when there is no place for the file.
//
//export tocsinFile
func tocsinFile(dir, suggested *C.char) *C.char {
	path := gtk.file(C.GoString(dir), C.GoString(suggested))
	if path == "" {
		return nil
	}
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	return (*C.char)(unsafe.Pointer(C.g_strdup((*C.gchar)(unsafe.Pointer(p)))))
}

//export tocsinFetched
func tocsinFetched(path, problem *C.char) { gtk.fetched(C.GoString(path), C.GoString(problem)) }

//export tocsinPrinted
func tocsinPrinted(uri, problem *C.char) { gtk.printed(C.GoString(uri), C.GoString(problem)) }

//export tocsinFolder
func tocsinFolder(path *C.char) { gtk.folder(C.GoString(path)) }

// with gives a Go string to C for the time of f.
func with(s string, f func(*C.char)) {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	f(c)
}

const mostScreens = 16

func screens() []area {
	var found [mostScreens]C.GdkRectangle
	n := int(C.tocsin_screens(&found[0], mostScreens))
	all := make([]area, n)
	for i := range all {
		r := found[i]
		all[i] = area{int(r.x), int(r.y), int(r.width), int(r.height)}
	}
	return all
}
