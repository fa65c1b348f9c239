package notifyd

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// app plays a browser: it shows notifications and receives signals.
type app struct {
	daemon  *Daemon
	t       *testing.T
	object  dbus.BusObject
	signals chan *dbus.Signal
}

func start(t *testing.T) (*Daemon, *app) {
	t.Helper()
	if err := Available(); err != nil {
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	d, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dbus.Connect(d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
	})
	if err := conn.AddMatchSignal(dbus.WithMatchInterface(busName)); err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, daemon: d, object: conn.Object(busName, objectPath), signals: make(chan *dbus.Signal, 16)}
	conn.Signal(a.signals)
	return d, a
}

func (a *app) notify(replaces uint32, title string) uint32 {
	a.t.Helper()
	var id uint32
	err := a.object.Call(busName+".Notify", 0, "Chromium", replaces, "", title, "body",
		[]string{"default", "Activate", "0", "Yes"}, map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1))}, int32(-1)).Store(&id)
	if err != nil {
		a.t.Fatal(err)
	}
	// Tests see an answer a moment after the daemon has sent it.
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := a.daemon.WaitTitle(ctx, "", title); err != nil {
		a.t.Fatal(err)
	}
	return id
}

// hear expects a signal with this member and these arguments.
func (a *app) hear(member string, want ...any) {
	a.t.Helper()
	select {
	case s := <-a.signals:
		if s.Name != busName+"."+member {
			a.t.Errorf("heard %s, want %s", s.Name, member)
		}
		if diff := cmp.Diff(want, s.Body); diff != "" {
			a.t.Error(diff)
		}
	case <-time.After(30 * time.Second):
		a.t.Errorf("did not hear %s", member)
	}
}

func TestClicks(t *testing.T) {
	d, a := start(t)
	first, second, third := a.notify(0, "first"), a.notify(0, "second"), a.notify(0, "third")
	got, err := d.WaitTitle(t.Context(), "Chromium", "first")
	if err != nil {
		t.Fatal(err)
	}
	want := Notification{
		ID: first, App: "Chromium", Title: "first", Body: "body", Timeout: -1,
		Actions: []Action{{"default", "Activate"}, {"0", "Yes"}},
		Hints:   map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1))},
	}
	if diff := cmp.Diff(want, got.Notification, cmp.AllowUnexported(dbus.Signature{}), cmp.AllowUnexported(dbus.Variant{})); diff != "" {
		t.Error(diff)
	}
	check(t, d.Click(first))
	a.hear("ActionInvoked", first, "default")
	a.hear("NotificationClosed", first, uint32(Dismissed))
	check(t, d.ClickAction(second, "Yes"))
	a.hear("ActionInvoked", second, "0")
	a.hear("NotificationClosed", second, uint32(Dismissed))
	check(t, d.Dismiss(third))
	a.hear("NotificationClosed", third, uint32(Dismissed))
	for name, err := range map[string]error{
		"click on a closed one":     d.Click(first),
		"action of a closed one":    d.ClickAction(second, "Yes"),
		"dismissal of a closed one": d.Dismiss(third),
	} {
		if err == nil {
			t.Errorf("%s succeeded", name)
		}
	}
	if fourth := a.notify(0, "fourth"); d.ClickAction(fourth, "No") == nil {
		t.Error("clicked on a button that is not there")
	}
}

func TestWithdrawAndReplace(t *testing.T) {
	d, a := start(t)
	id := a.notify(0, "old")
	if got := a.notify(id, "new"); got != id {
		t.Errorf("replacement has id %d, want %d", got, id)
	}
	all := d.Notifications()
	if len(all) != 2 || all[0].Closed != Withdrawn || all[1].Closed != 0 || all[1].Replaces != id {
		t.Errorf("got %+v", all)
	}
	check(t, a.object.Call(busName+".CloseNotification", 0, id).Err)
	a.hear("NotificationClosed", id, uint32(Withdrawn))
	if reason, err := d.WaitClosed(t.Context(), id); err != nil || reason != Withdrawn {
		t.Errorf("reason %d, %v", reason, err)
	}
	a.notify(0, "one")
	a.notify(0, "two")
	check(t, d.DismissAll())
	for _, s := range d.Notifications() {
		if s.Closed == 0 {
			t.Errorf("%q is still displayed", s.Title)
		}
	}
}

func TestWaitTimesOut(t *testing.T) {
	d, a := start(t)
	a.notify(0, "another")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := d.WaitTitle(ctx, "", "never"); err == nil {
		t.Error("no error")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestBadCalls(t *testing.T) {
	d, a := start(t)
	for member, args := range map[string][]any{
		"Unknown":           nil,
		"Notify":            {"too", "few"},
		"CloseNotification": {"not a number"},
	} {
		if err := a.object.Call(busName+"."+member, 0, args...).Err; err == nil {
			t.Errorf("%s%v succeeded", member, args)
		}
	}
	check(t, a.object.Call(busName+".CloseNotification", 0, uint32(99)).Err)
	var capabilities []string
	check(t, a.object.Call(busName+".GetCapabilities", 0).Store(&capabilities))
	var name, vendor, version, spec string
	check(t, a.object.Call(busName+".GetServerInformation", 0).Store(&name, &vendor, &version, &spec))
	if len(capabilities) == 0 || spec != "1.2" {
		t.Errorf("capabilities %v, specification %s", capabilities, spec)
	}
	if got := d.Notifications(); len(got) != 0 {
		t.Errorf("shown: %v", got)
	}
}

// TestReplyBeforeClick clicks as soon as a notification is recorded. The browser
// must have its id by then, or it ignores the click.
func TestReplyBeforeClick(t *testing.T) {
	d, a := start(t)
	order := make(chan *dbus.Message, 64)
	conn, err := dbus.Connect(d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.AddMatchSignal(dbus.WithMatchInterface(busName)); err != nil {
		t.Fatal(err)
	}
	conn.Eavesdrop(order)
	for range 200 {
		clicked := make(chan error, 1)
		known := len(d.Notifications())
		go func() {
			s, err := d.Wait(context.Background(), func(s Shown) bool { return len(d.Notifications()) > known && s.Closed == 0 })
			if err == nil {
				err = d.Click(s.ID)
			}
			clicked <- err
		}()
		call := &dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(busName), dbus.FieldPath: dbus.MakeVariant(objectPath),
			dbus.FieldInterface: dbus.MakeVariant(busName), dbus.FieldMember: dbus.MakeVariant("Notify"),
		}, Body: []any{"app", uint32(0), "", "title", "", []string{}, map[string]dbus.Variant{}, int32(0)}}
		call.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(call.Body...))
		conn.Send(call, make(chan *dbus.Call, 1))
		for _, want := range []dbus.Type{dbus.TypeMethodReply, dbus.TypeSignal, dbus.TypeSignal} {
			if got := <-order; got.Type != want {
				t.Fatalf("got message type %v, want %v", got.Type, want)
			}
		}
		check(t, <-clicked)
	}
	for len(a.signals) > 0 {
		<-a.signals
	}
}
