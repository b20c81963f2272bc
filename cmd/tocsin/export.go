package main

import (
	"context"

	"go.yaml.in/yaml/v3"
)

type export struct{ server }

// Run prints the settings as YAML, as apply takes them. Overrides, swaps and notes are no settings and are left out.
func (e export) Run(ctx context.Context, io streams) error {
	now, err := e.settings(ctx)
	if err != nil {
		return err
	}
	enc := yaml.NewEncoder(io.out)
	enc.SetIndent(2)
	if err := enc.Encode(exported(now)); err != nil {
		return err
	}
	return enc.Close()
}
