package main

import (
	"bytes"
	"net/http"
	"os"
	"runtime/pprof"
	"time"
)

// This file is no part of s3mesh. The benchmark adds it to a build of its own, with go build -overlay, so that what is
// profiled is the program as it is, and the program as it is has no profiler.
func init() {
	address := os.Getenv("S3MESH_BENCH_PROFILER")
	if address == "" {
		return
	}
	var profile bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, _ *http.Request) {
		if err := pprof.StartCPUProfile(&profile); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		pprof.StopCPUProfile()
		_, _ = w.Write(profile.Bytes())
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.ListenAndServe() }()
}
