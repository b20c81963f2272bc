package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// players can play a file, per system, best first. The file's name stands where %s is.
var players = map[string][][]string{
	"linux":   {{"pw-play", "%s"}, {"paplay", "%s"}, {"aplay", "-q", "%s"}},
	"darwin":  {{"afplay", "%s"}},
	"windows": {{"powershell", "-NoProfile", "-NonInteractive", "-Command", "(New-Object System.Media.SoundPlayer $env:TOCSIN_SOUND).PlaySync()"}},
}

const (
	playWithin = 10 * time.Second
	maxSound   = 4 << 20 // bytes
)

// Player plays sounds, one after the other, with a program that the computer has.
type Player struct {
	log  *slog.Logger
	next chan []byte
	dir  string // of the sound that is played
	deaf bool   // said already that nothing plays
}

// NewPlayer returns a Player that is silent before Run.
func NewPlayer(log *slog.Logger) *Player {
	return &Player{log: cmp.Or(log, slog.Default()), next: make(chan []byte, 1)}
}

// Play plays a WAV file. It does not wait; of sounds that wait only the newest is played.
func (p *Player) Play(wav []byte) {
	if len(wav) == 0 || len(wav) > maxSound {
		return
	}
	for {
		select {
		case p.next <- wav:
			return
		default:
		}
		select {
		case <-p.next:
		default:
		}
	}
}

// Run plays until ctx ends. That nothing can play is said once in the log.
func (p *Player) Run(ctx context.Context) (err error) {
	if p.dir, err = os.MkdirTemp("", "tocsin-sound-"); err != nil {
		return fmt.Errorf("make a place for sounds: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case wav := <-p.next:
			err := p.play(ctx, wav)
			if err != nil && ctx.Err() == nil && !p.deaf {
				p.deaf = true
				p.log.WarnContext(ctx, "nothing on this computer plays sounds: install pipewire, pulseaudio or alsa-utils, and look whether a loudspeaker is there", "err", err)
			}
			if err == nil {
				p.deaf = false
			}
		}
	}
}

func (p *Player) play(ctx context.Context, wav []byte) error {
	file := filepath.Join(p.dir, "sound.wav")
	if err := os.WriteFile(file, wav, 0o600); err != nil {
		return err
	}
	ctx, end := context.WithTimeout(ctx, playWithin)
	defer end()
	var all []error
	for _, args := range players[runtime.GOOS] {
		path, err := exec.LookPath(args[0])
		if err != nil {
			all = append(all, err)
			continue
		}
		rest := make([]string, 0, len(args))
		for _, a := range args[1:] {
			rest = append(rest, strings.ReplaceAll(a, "%s", file))
		}
		cmd := exec.CommandContext(ctx, path, rest...)
		cmd.Env = append(os.Environ(), "TOCSIN_SOUND="+file)
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %w: %s", args[0], err, cut(strings.TrimSpace(string(out)), maxTitle)))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}
