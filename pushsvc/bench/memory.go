//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// sampleEvery is the interval of memory samples.
const sampleEvery = 250 * time.Millisecond

// sample is a process's resident memory at one time, in bytes.
type sample struct {
	at        time.Duration // since the first one
	anonymous float64       // heap and stacks
	file      float64       // mapped files: the program and the store
}

// memoryOf returns a process's memory.
func memoryOf(pid int) (sample, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return sample{}, fmt.Errorf("reading the memory of a process: %w", err)
	}
	return parseStatus(string(raw))
}

func parseStatus(text string) (sample, error) {
	var s sample
	found := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*float64{"RssAnon": &s.anonymous, "RssFile": &s.file}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return s, fmt.Errorf("reading %s of a process: %w", name, err)
		}
		*into = kib * 1024
		found++
	}
	if found != 2 {
		return s, errors.New("no RssAnon and RssFile in the process's status")
	}
	return s, nil
}

// watchMemory takes samples of a process until stop is called, which returns them. After the end of the
// process there are no more.
func watchMemory(pid int) (stop func() []sample) {
	quit, done := make(chan struct{}), make(chan []sample, 1)
	go func() {
		var all []sample
		begun := time.Now()
		ticker := time.NewTicker(sampleEvery)
		defer ticker.Stop()
		for {
			if s, err := memoryOf(pid); err == nil {
				s.at = time.Since(begun)
				all = append(all, s)
			}
			select {
			case <-ticker.C:
			case <-quit:
				done <- all
				return
			}
		}
	}()
	return func() []sample {
		close(quit)
		return <-done
	}
}

// peaks returns the highest values of each kind.
func peaks(all []sample) (anonymous, file float64) {
	for _, s := range all {
		anonymous, file = max(anonymous, s.anonymous), max(file, s.file)
	}
	return anonymous, file
}
