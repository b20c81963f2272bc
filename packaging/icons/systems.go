package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"os"

	"github.com/tc-hib/winres"
	"github.com/tc-hib/winres/version"
)

// icns is Apple's icon file: a list of PNG files, each under the four letters
// of its size.
func icns(drawing []byte) ([]byte, error) {
	var body bytes.Buffer
	for _, e := range []struct {
		kind string
		size int
	}{{"icp4", 16}, {"icp5", 32}, {"ic07", 128}, {"ic08", 256}, {"ic09", 512}, {"ic10", 1024}} {
		img, err := square(drawing, e.size)
		if err != nil {
			return nil, err
		}
		body.WriteString(e.kind)
		_ = binary.Write(&body, binary.BigEndian, uint32(8+len(img)))
		body.Write(img)
	}
	head := binary.BigEndian.AppendUint32([]byte("icns"), uint32(8+body.Len()))
	return append(head, body.Bytes()...), nil
}

var icoSizes = []int{16, 24, 32, 48, 64, 128, 256}

// ico is Windows' icon file, which may hold PNG files.
func ico(drawing []byte) ([]byte, error) {
	icon, err := windowsIcon(drawing)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = icon.SaveICO(&b)
	return b.Bytes(), err
}

func windowsIcon(drawing []byte) (*winres.Icon, error) {
	var all []image.Image
	for _, size := range icoSizes {
		img, err := paint(drawing, size)
		if err != nil {
			return nil, err
		}
		all = append(all, img)
	}
	return winres.NewIconFromImages(all)
}

// appIcon is the number under which Wails looks for the icon of its windows.
const appIcon = 3

// object is what Go's linker puts into a Windows program: the icon, the
// manifest, and the version that the properties of the file show.
func object(drawing []byte, o options) ([]byte, error) {
	icon, err := windowsIcon(drawing)
	if err != nil {
		return nil, err
	}
	xml, err := os.ReadFile(o.manifest)
	if err != nil {
		return nil, err
	}
	manifest, err := winres.AppManifestFromXML(xml)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.manifest, err)
	}
	var rs winres.ResourceSet
	if err := rs.SetIcon(winres.ID(appIcon), icon); err != nil {
		return nil, err
	}
	rs.SetManifest(manifest)
	var v version.Info
	v.SetFileVersion(o.version)
	v.SetProductVersion(o.version)
	for key, value := range map[string]string{
		version.ProductName: "Tocsin", version.FileDescription: "Tocsin", version.CompanyName: "The Tocsin authors",
		version.OriginalFilename: "tocsin-desktop.exe", version.ProductVersion: o.version, version.FileVersion: o.version,
	} {
		if err := v.Set(version.LangDefault, key, value); err != nil {
			return nil, err
		}
	}
	rs.SetVersionInfo(v)
	arch, known := map[string]winres.Arch{"amd64": winres.ArchAMD64, "arm64": winres.ArchARM64}[o.arch]
	if !known {
		return nil, fmt.Errorf("there is no Windows for the processor %q; -arch is amd64 or arm64", o.arch)
	}
	var b bytes.Buffer
	err = rs.WriteObject(&b, arch)
	return b.Bytes(), err
}
