package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/internal/sample"
)

// TestDemoStuckReader: a demo whose standard output is open and not read goes on, and ends when asked to.
func TestDemoStuckReader(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // only now: the demo may not see its reader gone
	p := &process{cmd: m.command(t.Context(), "demo", "--json", "--regions", "2"), done: make(chan struct{})}
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.done)
	}()
	t.Cleanup(func() { p.kill(t) })
	line, err := bufio.NewReaderSize(r, 16).ReadBytes('\n')
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var hello demoHello
	if err := json.Unmarshal(line, &hello); err != nil {
		t.Fatal(err)
	}
	for _, s := range hello.Sites {
		s.connect(t)
	}
	key := ""
	for i := range 150 { // as many lines fill the pipe, which holds 64 KiB
		key = fmt.Sprintf("%s/%s/%d", strings.Repeat("a", 250), strings.Repeat("b", 250), i)
		hello.Sites[0].mustPut(t, key, text("x"))
	}
	awaitObject(t, hello.Sites, key, text("x"))
	if code := p.stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkNothingLeft(t, m)
}

// TestDemoKeepsOwnPictures: a restart with --data leaves alone what the user wrote under the sample pictures' keys.
func TestDemoKeepsOwnPictures(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	args := []string{"--data", m.dir + "/kept", "--regions", "2"}
	release := occupy(t, 9100, 9101, 9102)
	d := startDemo(t, m, args...)
	release()
	hideCard(t, m, m.dir+"/kept/demo.json")
	images := sample.Images()
	for _, image := range images {
		awaitObject(t, d.sites, image.Key, object{body: string(image.Data), contentType: image.ContentType})
	}
	mine := images[0].Key
	d.sites[1].mustPut(t, mine, text("mine"))
	awaitObject(t, d.sites, mine, text("mine"))
	if code := d.stop(t, syscall.SIGINT); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	again := m.launch(t, 1000, append([]string{"demo"}, args...)...)
	eventually(t, startTimeout, "the text that tells of the pictures", func() error {
		if text := again.stdout.String(); !strings.Contains(text, "already there") {
			return fmt.Errorf("%q", text)
		}
		return nil
	})
	awaitObject(t, d.sites, mine, text("mine"))

	second := m.cli(t, append([]string{"demo"}, args...)...)
	if n := strings.Count(second.stderr, "in use"); second.code != 1 || n != 1 {
		t.Errorf("a second demo in the same folder: exit code %d, told %d times:\n%s", second.code, n, second.stderr)
	}
	if code := again.stop(t, syscall.SIGHUP); code != 0 {
		t.Errorf("a closed terminal: exit code %d", code)
	}
	checkNothingLeft(t, m)
}

// TestDemoHungRegions: regions that accept and never answer are told by inspect, can be stopped, and do not hold up the end.
func TestDemoHungRegions(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDemo(t, m, "--regions", "2")
	for _, image := range sample.Images() {
		awaitObject(t, d.sites, image.Key, object{body: string(image.Data), contentType: image.ContentType})
	}
	d.settled(t, arrival) // a task in progress would have its own time to end
	for _, pid := range children(t, d.cmd.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	r := m.cli(t, "inspect", "anything")
	if took := time.Since(began); r.code != 3 || took > 15*time.Second ||
		!strings.Contains(r.stdout, "No site that answered holds this key.") {
		t.Errorf("inspect: exit code %d after %v\n%s%s", r.code, took, r.stdout, r.stderr)
	}
	m.must(t, "demo", "region", "stop", d.sites[0].Name)
	if code := d.stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d\n%s", code, d.stderr.String())
	}
	checkNothingLeft(t, m)
}

// children returns the processes that a process started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, task := range tasks {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(data)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, child)
		}
	}
	if len(found) == 0 {
		t.Fatal("the process has no children")
	}
	return found
}
