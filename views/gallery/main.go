// Package main owns the gallery: every page of the room filled with realistic models and served with the real
// styles and scripts, so that a person or a browser test can look at them; it is never part of the product.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"strings"
	"time"

	"github.com/a-h/templ"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8099", "address to listen on")
	assets := flag.String("assets", "web/assets/dist", "bundled styles and scripts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := &http.Server{Addr: *addr, Handler: Handler(*assets), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.Printf("gallery on http://%s/gallery", *addr)
	if err := server.ListenAndServe(); err != nil && err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

// policy is the content security policy of the product, so that a page that breaks it is seen here first.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"

// Handler serves the index on /gallery, each page on /gallery/<name>, assets, a beating socket and charts.
func Handler(assets string) http.Handler {
	pages := Pages()
	mux := http.NewServeMux()
	mux.Handle("/assets/", http.StripPrefix("/assets/", http.FileServer(http.Dir(assets))))
	listeners := &hall{ears: map[chan string]bool{}}
	mux.HandleFunc("/live", listeners.serveLive)
	mux.HandleFunc("/status/live", listeners.serveLive)
	mux.HandleFunc("POST /push", listeners.push)
	mux.HandleFunc("POST /drop", listeners.drop)
	mux.HandleFunc("/charts/", serveChart)
	mux.HandleFunc("/.desk/outbox", serveOutbox)
	mux.HandleFunc("/incidents/42/complete", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items":[{"text":"1","hint":"critical"},{"text":"2","hint":"major"},{"text":"3","hint":"degraded"}]}`))
	})
	mux.HandleFunc("POST /incidents/42/line", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"code":"severity_reason","detail":"A change of severity needs a reason. Write it after the number: /sev 1 funds are moving."}`))
	})
	mux.HandleFunc("/gallery", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		names := make([]string, 0, len(pages))
		for name := range pages {
			names = append(names, name)
		}
		sort.Strings(names)
		_, _ = w.Write([]byte("<!DOCTYPE html><html lang=en><title>Gallery</title><ul>"))
		for _, name := range names {
			_, _ = w.Write([]byte(`<li><a href="/gallery/` + name + `">` + name + `</a></li>`))
		}
	})
	mux.HandleFunc("/gallery/", func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[strings.TrimPrefix(r.URL.Path, "/gallery/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		templ.Handler(page).ServeHTTP(w, r)
	})
	return mux
}
