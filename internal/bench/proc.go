package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// What Linux tells of processes in /proc: see proc(5). Elsewhere these measurements are left out of the report.

// clockTicks is the unit of CPU times in /proc, per second: fixed on every architecture that Go supports.
const clockTicks = 100

// cpuSeconds is CPU time, of the program and the kernel on its behalf, by who spent it.
type cpuSeconds struct {
	S3mesh float64 `json:"s3mesh"`
	Stores float64 `json:"stores"`  // all of them
	Client float64 `json:"clients"` // the writers, and the polling
	Others float64 `json:"others"`  // all else on this machine: large numbers make a measurement worthless
}

func (c *cpuSeconds) since(before *cpuSeconds) *cpuSeconds {
	if c == nil || before == nil {
		return nil
	}
	return &cpuSeconds{S3mesh: c.S3mesh - before.S3mesh, Stores: c.Stores - before.Stores, Client: c.Client - before.Client,
		Others: max(0, c.Others-before.Others)}
}

// cpuTimes returns what this process and its children, of which pid is s3mesh and the others are stores, have spent so far;
// nil where the system does not tell. Without s3mesh, pid is 0.
func cpuTimes(pid int) *cpuSeconds {
	var sum cpuSeconds
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		return nil
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		p, err := parseStat(string(text))
		if err != nil {
			return nil
		}
		switch {
		case p.pid == pid:
			sum.S3mesh += p.cpu
		case p.pid == os.Getpid():
			sum.Client += p.cpu
		case p.parent == os.Getpid():
			sum.Stores += p.cpu
		}
	}
	busy, err := busySeconds()
	if err != nil {
		return nil
	}
	sum.Others = busy - sum.S3mesh - sum.Stores - sum.Client
	return &sum
}

// rest waits until other programs leave most of the machine alone for a second, for as long as the options allow.
func (b *bench) rest(ctx context.Context) error {
	const tolerated = 0.1
	for deadline := time.Now().Add(b.wait); time.Now().Before(deadline); {
		before, err := busySeconds()
		if err != nil {
			return nil //nolint:nilerr // the system does not tell
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		after, err := busySeconds()
		if err != nil || after-before < tolerated*float64(runtime.NumCPU()) {
			return err
		}
	}
	return nil
}

// busySeconds returns what all CPUs together have worked since the machine was started, from the first line of /proc/stat.
func busySeconds() (float64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, fmt.Errorf("unexpected CPU state %q", line)
	}
	var ticks int64
	for i, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 {
			ticks += n
		}
	}
	return float64(ticks) / clockTicks, nil
}

type processStat struct {
	pid, parent int
	cpu         float64 // seconds
}

// parseStat reads /proc/<pid>/stat. The second field is a name in parentheses that may hold anything.
func parseStat(text string) (processStat, error) {
	before, _, _ := strings.Cut(text, " ")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return processStat{}, fmt.Errorf("unexpected process state %q", text)
	}
	pid, err1 := strconv.Atoi(before)
	parent, err2 := strconv.Atoi(fields[1])
	user, err3 := strconv.ParseInt(fields[11], 10, 64)
	kernel, err4 := strconv.ParseInt(fields[12], 10, 64)
	return processStat{pid: pid, parent: parent, cpu: float64(user+kernel) / clockTicks}, errors.Join(err1, err2, err3, err4)
}

// memoryOf returns a field of /proc/<pid>/status, such as VmRSS or VmHWM, in bytes.
func memoryOf(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", field, pid)
}

// resetPeak makes the peak of a process, VmHWM, start from what it uses now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
}

// loadAverage returns the averages over 1, 5 and 15 minutes, or "".
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
