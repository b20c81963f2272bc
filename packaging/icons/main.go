// Command icons makes the icons of the desktop program from the one drawing
// there is, web/assets/src/favicon.svg: PNG files for Linux in the folders of
// an icon theme, tocsin.icns for macOS, tocsin.ico for Windows, and what is
// linked into a Windows program beside its code. The same drawing gives the
// same bytes on every system. It is a module of its own so that what draws
// stays out of the product's.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"

	"github.com/srwiley/oksvg"
	"github.com/srwiley/rasterx"
)

func main() {
	var o options
	flag.StringVar(&o.svg, "svg", "../../web/assets/src/favicon.svg", "the drawing")
	flag.StringVar(&o.theme, "theme", "", "folder that gets SIZExSIZE/apps/tocsin.png and scalable/apps/tocsin.svg")
	flag.StringVar(&o.icns, "icns", "", "file for macOS")
	flag.StringVar(&o.ico, "ico", "", "file for Windows")
	flag.StringVar(&o.syso, "syso", "", "object file for the linker of a Windows program")
	flag.StringVar(&o.arch, "arch", "amd64", "processor of the object file: amd64 or arm64")
	flag.StringVar(&o.manifest, "manifest", "../windows/tocsin.manifest", "manifest that goes into the object file")
	flag.StringVar(&o.version, "version", "0.0.0", "version that Windows shows, such as 1.2.3")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "icons:", err)
		os.Exit(1)
	}
}

type options struct{ svg, theme, icns, ico, syso, arch, manifest, version string }

func run(o options) error {
	drawing, err := os.ReadFile(o.svg)
	if err != nil {
		return err
	}
	var failed []error
	if o.theme != "" {
		failed = append(failed, theme(o.theme, drawing))
	}
	if o.icns != "" {
		failed = append(failed, write(o.icns, drawing, icns))
	}
	if o.ico != "" {
		failed = append(failed, write(o.ico, drawing, ico))
	}
	if o.syso != "" {
		failed = append(failed, write(o.syso, drawing, func(drawing []byte) ([]byte, error) { return object(drawing, o) }))
	}
	return errors.Join(failed...)
}

func write(path string, drawing []byte, make func([]byte) ([]byte, error)) error {
	b, err := make(drawing)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// theme fills the folder of an icon theme.
func theme(dir string, drawing []byte) error {
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128, 256, 512} {
		path := filepath.Join(dir, fmt.Sprintf("%dx%d", size, size), "apps", "tocsin.png")
		if err := write(path, drawing, func(drawing []byte) ([]byte, error) { return square(drawing, size) }); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, "scalable", "apps", "tocsin.svg"), drawing, func(drawing []byte) ([]byte, error) { return drawing, nil })
}

// corner is a radius across; SVG takes it for the radius down as well where
// none is given, the painter does not.
var corner = regexp.MustCompile(`\brx=("[^"]*")`)

// paint draws the drawing into a square of this many pixels.
func paint(drawing []byte, size int) (image.Image, error) {
	icon, err := oksvg.ReadIconStream(bytes.NewReader(corner.ReplaceAll(drawing, []byte("$0 ry=$1"))), oksvg.StrictErrorMode)
	if err != nil {
		return nil, fmt.Errorf("read the drawing: %w", err)
	}
	icon.SetTarget(0, 0, float64(size), float64(size))
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	icon.Draw(rasterx.NewDasher(size, size, rasterx.NewScannerGV(size, size, img, img.Bounds())), 1)
	return img, nil
}

// square is the drawing as a PNG file.
func square(drawing []byte, size int) ([]byte, error) {
	img, err := paint(drawing, size)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
