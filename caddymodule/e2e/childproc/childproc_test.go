//go:build linux

package childproc

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const hostEnv = "CHILDPROC_TEST_HOST"

// TestMain lets the test binary play the parent that is killed in
// TestChildDiesWithParent.
func TestMain(m *testing.M) {
	if os.Getenv(hostEnv) != "" {
		p, err := Start(exec.Command("sleep", "60"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		select {}
	}
	os.Exit(m.Run())
}

func TestStopKillsDescendants(t *testing.T) {
	// The shell ignores SIGTERM and has a child: Stop must end both.
	cmd := exec.Command("sh", "-c", `trap "" TERM; sleep 60 & echo $!; wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop(0)
	grandchild := readPID(t, bufio.NewReader(out))
	if err := p.Stop(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Err() == nil {
		t.Error("Err is nil after SIGKILL")
	}
	waitGone(t, p.PID())
	waitGone(t, grandchild)
	if err := p.Stop(0); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

func TestChildDiesWithParent(t *testing.T) {
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostEnv+"=1")
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	child := readPID(t, bufio.NewReader(out))
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	waitGone(t, child)
}

func TestStartReportsMissingProgram(t *testing.T) {
	if _, err := Start(exec.Command("/nonexistent/program")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want not exist", err)
	}
}

func readPID(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || isZombie(pid) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

// isZombie reports whether the process is dead and only waits for its parent. An
// orphan's parent in a container may be an init that does not reap.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(fields, "Z")
}
