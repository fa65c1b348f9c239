//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime returns the process's CPU time of all threads, including ended ones: its CPU clock
// (clock_getcpuclockid(3), the number is ^pid<<3 | CPUCLOCK_SCHED), in nanoseconds.
func cpuTime(pid int) (time.Duration, error) {
	var ts syscall.Timespec
	clock := int32(^pid)<<3 | 2
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// memory is a process's resident memory in bytes.
type memory struct {
	total     float64
	anonymous float64 // heap and stacks, without what is mapped from files
}

func memoryOf(pid int) (memory, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return parseStatus(raw)
}

func parseStatus(raw []byte) (memory, error) {
	var m memory
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch {
		case name == "VmRSS" && err == nil:
			m.total = kib * 1024
		case name == "RssAnon" && err == nil:
			m.anonymous = kib * 1024
		}
	}
	if m.total == 0 || m.anonymous == 0 {
		return m, errors.New("no VmRSS and RssAnon in the process's status")
	}
	return m, nil
}

// ask requests a path of Caddy's admin endpoint.
func (s *server) ask(path string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.admin)
	}}
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer resp.Body.Close()
	const limit = 64 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("reading from the admin endpoint: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the admin endpoint answers %s to %s", resp.Status, path)
	}
	return body, nil
}

// mallocs returns how many objects the process has allocated since it began. It uses expvar: the metric
// go_memstats_mallocs_total omits what each processor's cache has not flushed yet, which is thousands.
func (s *server) mallocs() (float64, error) {
	raw, err := s.ask("/debug/vars")
	if err != nil {
		return 0, err
	}
	return parseVars(raw)
}

func parseVars(raw []byte) (float64, error) {
	var vars struct {
		Memstats struct{ Mallocs *float64 } `json:"memstats"`
	}
	if err := json.Unmarshal(raw, &vars); err != nil {
		return 0, fmt.Errorf("reading the server's variables: %w", err)
	}
	if vars.Memstats.Mallocs == nil {
		return 0, errors.New("the server's variables have no number of allocations")
	}
	return *vars.Memstats.Mallocs, nil
}
