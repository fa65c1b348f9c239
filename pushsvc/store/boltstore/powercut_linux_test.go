package boltstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

func init() { jobs["lying"] = subscribeLying }

// subscribeLying subscribes on a disk whose syncs do nothing.
func subscribeLying(path, first string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	s.db.NoSync = true
	return subscribe(s, first)
}

// disk is a file system whose power can be cut.
type disk struct {
	*testing.T
	image, dir string
	// longest is the latest time of the power cut: later on a machine so busy
	// that nothing is acknowledged before.
	longest time.Duration
}

// newDisk makes an ext4 in a file. It needs root, mkfs.ext4 and loop devices.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{T: t, image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir(), longest: 150 * time.Millisecond}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 256<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("no power to cut here: mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("no power to cut here: mounting a loop device: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
	return d
}

// cut cuts the power: data that the file system has not synced is lost, including
// its journal.
func (d *disk) cut() error {
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN, _IOR('X', 125, __u32)
		noLogFlush = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		return errno
	}
	return nil
}

// start mounts it again, which replays its journal.
func (d *disk) start() {
	d.Helper()
	for tries := 0; ; tries++ { // the child's memory map may still exist
		out, err := exec.Command("umount", d.dir).CombinedOutput()
		if err == nil {
			break
		}
		if tries == 50 {
			d.Fatalf("umount: %v %s", err, out)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		d.Fatalf("mount: %v %s", err, out)
	}
}

// outage runs the job until the power cut and adds the acknowledged rows.
func (d *disk) outage(job, path string, round int, acked map[string]string) {
	d.Helper()
	before := len(acked)
	cmd := child(d.T, job, path, strconv.Itoa(round*1_000_000))
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	cut := make(chan error, 1)
	// From before the first byte of a new store on.
	time.AfterFunc(time.Duration(rand.Int64N(int64(d.longest))), func() {
		cut <- d.cut()
		_ = cmd.Process.Kill()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		note(acked, lines.Text())
	}
	if err := <-cut; err != nil {
		d.Skipf("no power to cut here: %v", err)
	}
	_ = cmd.Wait()
	if len(acked) == before {
		d.longest = min(2*d.longest, 5*time.Second)
	}
	d.start()
}

// TestPowerCut cuts the power while the store is made, subscribes, and compacts,
// and checks that everything acknowledged is stored.
func TestPowerCut(t *testing.T) {
	d := newDisk(t)
	total := 0
	var path string
	var acked map[string]string
	for round := 0; round < moments(t, 8) || total+len(acked) == 0 && round < 100; round++ {
		if round%4 == 0 {
			total += len(acked)
			path, acked = filepath.Join(d.dir, fmt.Sprint(round), "webpush.db"), map[string]string{}
		}
		d.outage([]string{"subscribe", "compact"}[round%2], path, round, acked)
		checkAcked(t, path, acked)
	}
	if total += len(acked); total == 0 {
		t.Error("nothing was acknowledged: the test tests nothing")
	}
	t.Logf("%d acknowledged, none lost", total)
}

// TestPowerCutTeeth: the test detects a disk that ignores syncs.
func TestPowerCutTeeth(t *testing.T) {
	d := newDisk(t)
	for round, checked := 0, 0; checked < 20 && round < 200; round++ {
		path, acked := filepath.Join(d.dir, fmt.Sprint(round, ".db")), map[string]string{}
		d.outage("lying", path, 0, acked)
		if len(acked) == 0 {
			continue
		}
		checked++
		there := map[string]bool{}
		if s, err := Open(t.Context(), path, Options{}); err == nil {
			page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 1<<20)
			if err != nil {
				t.Logf("the store is damaged: %v", err)
			}
			for _, row := range page {
				there[row.Endpoint] = true
			}
			_ = s.Close()
		} else {
			t.Logf("the store doesn't open: %v", err)
		}
		lost := 0
		for endpoint := range acked {
			if !there[endpoint] {
				lost++
			}
		}
		if lost > 0 {
			t.Logf("%d of %d acknowledged were lost, and it was noticed", lost, len(acked))
			return
		}
	}
	t.Error("a disk that lies about its syncs was not noticed: the test tests nothing")
}

// TestDiskFails removes the disk of an open store: errors with their errno, no
// panic, and everything acknowledged when it comes back.
func TestDiskFails(t *testing.T) {
	d := newDisk(t)
	path := filepath.Join(d.dir, "webpush.db")
	s := open(t, path)
	if err := storeMessage(s, "m", 100); err != nil {
		t.Fatal(err)
	}
	r := claimAt(t, s, "m", noteDay)
	if err := d.cut(); err != nil {
		t.Skipf("no disk to take away here: %v", err)
	}
	for range 3 {
		if _, err := s.PutSubscription(t.Context(), realistic(1000), nil); !errors.Is(err, syscall.EIO) {
			t.Errorf("a subscribe: %v", err)
		}
		if err := s.Note(t.Context(), r, accepted(1, 3)); !errors.Is(err, syscall.EIO) {
			t.Errorf("a note: %v", err)
		}
		if _, _, err := s.Compact(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Errorf("compacting: %v", err)
		}
		if page, err := s.SubscriptionPage(t.Context(), noteSite, 0, 1000); err != nil || len(page) != 100 {
			t.Errorf("%d rows, %v", len(page), err)
		}
	}
	_ = s.Close()
	d.start()
	s = open(t, path)
	defer s.Close() // before the disk is removed
	if page, err := s.SubscriptionPage(t.Context(), noteSite, 0, 1000); err != nil || len(page) != 100 {
		t.Errorf("after a start: %d rows, %v", len(page), err)
	}
	if got := claimAt(t, s, "m", noteDay.Add(time.Hour)); got.Epoch != r.Epoch+1 {
		t.Errorf("after a start: %+v", got)
	}
}

// TestReadOnlyDisk opens a store on a read-only disk.
func TestReadOnlyDisk(t *testing.T) {
	d := newDisk(t)
	path := filepath.Join(d.dir, "webpush.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "remount,ro", d.dir).CombinedOutput(); err != nil {
		t.Skipf("remounting: %v %s", err, out)
	}
	for _, p := range []string{path, filepath.Join(d.dir, "new.db"), filepath.Join(d.dir, "new", "webpush.db")} {
		if _, err := Open(t.Context(), p, Options{}); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", filepath.Base(p), err)
		}
	}
	if c, err := CheckFile(t.Context(), path); err != nil || c.Damaged != 0 {
		t.Errorf("checking it: %+v, %v", c, err)
	}
}
