// Package notifyd is a desktop for headless browsers: a private D-Bus session
// bus and a notification daemon on it (Desktop Notifications Specification 1.2)
// that shows nothing, records everything and lets a test click.
//
// Chromium and Firefox both use it. A service worker then gets a real, trusted
// notificationclick or notificationclose, which may open and focus windows; no
// DevTools protocol can do that.
package notifyd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
)

const (
	busName    = "org.freedesktop.Notifications"
	objectPath = dbus.ObjectPath("/org/freedesktop/Notifications")
)

// CloseReason is why a notification went away, as in the specification's
// NotificationClosed signal.
type CloseReason uint32

// The reasons of the specification.
const (
	Expired   CloseReason = 1
	Dismissed CloseReason = 2 // by the user
	Withdrawn CloseReason = 3 // by the browser, such as for Notification.close()
)

// Action is a button on a notification.
type Action struct {
	Key   string // what the browser calls it; changes between notifications
	Label string // what the user reads
}

// Notification is what a browser asked the desktop to show.
type Notification struct {
	ID       uint32
	Replaces uint32 // id of the notification that it took the place of, or 0
	App      string // "Chromium" or "Firefox"
	Title    string
	// Body is as sent: Chromium puts the origin and a blank line in front,
	// Firefox escapes HTML.
	Body    string
	Actions []Action // as sent; "default" is the notification itself
	Hints   map[string]dbus.Variant
	Timeout int32 // ms; -1 leaves it to the desktop, 0 is never
}

// Shown is a recorded notification. IDs are unique unless a notification is
// replaced, which adds another entry under the same id.
type Shown struct {
	Notification
	At     time.Time
	Closed CloseReason // 0 while it is displayed
}

// Daemon is a running bus with its notification daemon.
type Daemon struct {
	dir     string
	address string
	bus     *childproc.Process
	conn    *dbus.Conn
	last    uint32 // id given last; serve's own

	mu      sync.Mutex
	shown   []Shown
	changed chan struct{} // closed and replaced when shown changes
}

// busConfig allows every client of the private socket every call.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// startTime is how long dbus-daemon may take to be ready.
const startTime = time.Minute

// Available returns why the daemon can't run on this machine, or nil.
func Available() error {
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		return fmt.Errorf("looking for dbus-daemon: %w", err)
	}
	return nil
}

// Start starts a bus and the daemon. Browsers must be started after it, since
// Chromium looks for the daemon only once. The caller must call Close.
func Start() (_ *Daemon, err error) {
	// Not a test's own folder: a socket's path may have 107 bytes at most.
	dir, err := os.MkdirTemp("", "notifyd")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the bus: %w", err)
	}
	d := &Daemon{dir: dir, changed: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	if err := d.startBus(); err != nil {
		return nil, err
	}
	if d.conn, err = dbus.Connect(d.address); err != nil {
		return nil, fmt.Errorf("connecting to the bus: %w", err)
	}
	reply, err := d.conn.RequestName(busName, dbus.NameFlagDoNotQueue)
	if err != nil {
		return nil, fmt.Errorf("owning %s: %w", busName, err)
	}
	if reply != dbus.RequestNameReplyPrimaryOwner {
		return nil, fmt.Errorf("owning %s: answer %d", busName, reply)
	}
	calls := make(chan *dbus.Message, backlog)
	d.conn.Eavesdrop(calls) // closed with the connection
	go d.serve(calls)
	return d, nil
}

// startBus starts dbus-daemon and waits until it listens.
func (d *Daemon) startBus() error {
	config := filepath.Join(d.dir, "bus.conf")
	text := fmt.Sprintf(busConfig, filepath.Join(d.dir, "bus"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the bus configuration: %w", err)
	}
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--print-address=1", "--config-file="+config)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("preparing dbus-daemon: %w", err)
	}
	if d.bus, err = childproc.Start(cmd); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case d.address = <-line:
	case <-timer.C:
	}
	if d.address == "" {
		return errors.New("dbus-daemon told no address")
	}
	return nil
}

// Close stops daemon and bus. Stop the browsers first.
func (d *Daemon) Close() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	if d.bus != nil {
		errs = append(errs, d.bus.Stop(time.Second))
	}
	errs = append(errs, os.RemoveAll(d.dir))
	return errors.Join(errs...)
}

// Env returns the environment variables that a browser needs to show
// notifications here.
func (d *Daemon) Env() []string { return []string{"DBUS_SESSION_BUS_ADDRESS=" + d.address} }

// Notifications returns all notifications so far, oldest first.
func (d *Daemon) Notifications() []Shown {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.shown)
}

// Wait waits for a notification that match accepts, among the recorded ones
// (newest first) and later ones. match also sees later changes of a notification,
// such as its closing.
func (d *Daemon) Wait(ctx context.Context, match func(Shown) bool) (Shown, error) {
	for {
		d.mu.Lock()
		shown, changed := slices.Clone(d.shown), d.changed
		d.mu.Unlock()
		for _, s := range slices.Backward(shown) {
			if match(s) {
				return s, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Shown{}, fmt.Errorf("waiting for a notification, saw %s: %w", titles(shown), ctx.Err())
		}
	}
}

// WaitTitle waits for a displayed notification of app ("" for any) with this
// title.
func (d *Daemon) WaitTitle(ctx context.Context, app, title string) (Shown, error) {
	return d.Wait(ctx, func(s Shown) bool {
		return s.Closed == 0 && s.Title == title && (app == "" || s.App == app)
	})
}

// WaitClosed waits until a notification has gone away.
func (d *Daemon) WaitClosed(ctx context.Context, id uint32) (CloseReason, error) {
	s, err := d.Wait(ctx, func(s Shown) bool { return s.ID == id && s.Closed != 0 })
	return s.Closed, err
}

func titles(all []Shown) string {
	var list []string
	for _, s := range all {
		list = append(list, fmt.Sprintf("%s %q", s.App, s.Title))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// Click clicks on the notification itself.
func (d *Daemon) Click(id uint32) error { return d.invoke(id, "default") }

// ClickAction clicks on the button with this label.
func (d *Daemon) ClickAction(id uint32, label string) error {
	s, err := d.displayed(id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.Actions, func(a Action) bool { return a.Label == label })
	if i < 0 {
		return fmt.Errorf("notification %d has no action %q among %v", id, label, s.Actions)
	}
	return d.invoke(id, s.Actions[i].Key)
}

// invoke does what desktops do on a click: signal the action, then close.
func (d *Daemon) invoke(id uint32, key string) error {
	if _, err := d.displayed(id); err != nil {
		return err
	}
	if err := d.conn.Emit(objectPath, busName+".ActionInvoked", id, key); err != nil {
		return fmt.Errorf("signalling the click on notification %d: %w", id, err)
	}
	return d.close(id, Dismissed)
}

// Dismiss closes the notification as a user does.
func (d *Daemon) Dismiss(id uint32) error {
	if _, err := d.displayed(id); err != nil {
		return err
	}
	return d.close(id, Dismissed)
}

// DismissAll dismisses whatever is displayed, to start over between tests.
func (d *Daemon) DismissAll() error {
	var errs []error
	for _, s := range d.Notifications() {
		if s.Closed == 0 {
			errs = append(errs, d.close(s.ID, Dismissed))
		}
	}
	return errors.Join(errs...)
}

func (d *Daemon) displayed(id uint32) (Shown, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.find(id); i >= 0 {
		return d.shown[i], nil
	}
	return Shown{}, fmt.Errorf("notification %d is not displayed", id)
}

// find returns the index of a displayed notification, or -1. d.mu is held.
func (d *Daemon) find(id uint32) int {
	return slices.IndexFunc(d.shown, func(s Shown) bool { return s.ID == id && s.Closed == 0 })
}

func (d *Daemon) close(id uint32, reason CloseReason) error {
	d.mu.Lock()
	i := d.find(id)
	if i >= 0 {
		d.shown[i].Closed = reason
		d.wake()
	}
	d.mu.Unlock()
	if i < 0 {
		return nil // closed meanwhile by the browser
	}
	if err := d.conn.Emit(objectPath, busName+".NotificationClosed", id, uint32(reason)); err != nil {
		return fmt.Errorf("signalling the end of notification %d: %w", id, err)
	}
	return nil
}

// wake wakes all waiters. d.mu is held.
func (d *Daemon) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}
