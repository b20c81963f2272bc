package main

import "testing"

func TestWindowIsPutOnAScreenThatIsThere(t *testing.T) {
	left, right := area{0, 0, 1920, 1080}, area{1920, 0, 2560, 1440}
	for name, c := range map[string]struct {
		want    area
		screens []area
		got     area
	}{
		"where it was":                      {area{100, 50, 1280, 800}, []area{left}, area{100, 50, 1280, 800}},
		"on the second screen":              {area{2500, 100, 1280, 800}, []area{left, right}, area{2500, 100, 1280, 800}},
		"the second screen is gone":         {area{2500, 100, 1280, 800}, []area{left}, area{320, 140, 1280, 800}},
		"larger than the screen left":       {area{1920, 0, 2560, 1440}, []area{left}, area{0, 0, 1920, 1080}},
		"half beside the screen, graspable": {area{-600, 50, 1280, 800}, []area{left}, area{-600, 50, 1280, 800}},
		"title above the screen":            {area{100, -300, 1280, 800}, []area{left}, area{100, 0, 1280, 800}},
		"only its corner is seen":           {area{1900, 1060, 1280, 800}, []area{left}, area{640, 280, 1280, 800}},
		"over two screens":                  {area{1500, 100, 1280, 800}, []area{left, right}, area{1500, 100, 1280, 800}},
		"too small":                         {area{0, 0, 10, 10}, []area{left}, area{0, 0, minWidth, minHeight}},
		"no screen is known":                {area{7, 7, 1280, 800}, nil, area{7, 7, 1280, 800}},
		"far away":                          {area{-40000, 90000, 1280, 800}, []area{right, left}, area{2560, 320, 1280, 800}},
	} {
		if got := fit(c.want, c.screens); got != c.got {
			t.Errorf("%s: %+v, want %+v", name, got, c.got)
		}
	}
}
