package service_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// subscribers makes n subscriptions of site a.example and returns their ids.
func (f *fixture) subscribers(t *testing.T, n int) (ids []pushsvc.SubscriptionID) {
	t.Helper()
	f.withKey(t)
	for i := range n {
		row, err := f.Subscribe(t.Context(), "a.example", request(i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row.ID)
	}
	return ids
}

func ptr[T any](v T) *T { return &v }

// TestSendOptions: time, rate and recipients are in the row.
func TestSendOptions(t *testing.T) {
	f := newFixture(t)
	ids := f.subscribers(t, 3)
	at := f.now().Add(time.Hour)
	sent, err := f.Send(t.Context(), service.SendRequest{
		Site: "a.example", Content: pushsvc.Content{Title: "x"}, SendAt: at, Rate: ptr(2.5), Only: ids[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	if m := sent.Message; m.State != pushsvc.StateScheduled || !m.SendAt.Equal(at) || m.Rate != 2.5 || m.Only != ids[1] || m.Progress.Audience != 1 {
		t.Errorf("%+v", m)
	}
	if f.wakes != 1 {
		t.Errorf("%d wakes", f.wakes)
	}
	// Just passed: a request that was repeated after a time-out.
	if sent, err := f.Send(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}, SendAt: f.now().Add(-time.Minute)}); err != nil || sent.Message.State != pushsvc.StateQueued {
		t.Errorf("%+v, %v", sent.Message, err)
	}
}

func TestSendRequestErrors(t *testing.T) {
	f := newFixture(t)
	f.subscribers(t, 1)
	for _, tt := range []struct {
		name, field string
		change      func(*service.SendRequest)
	}{
		{"past", "sendAt", func(r *service.SendRequest) { r.SendAt = f.now().Add(-time.Hour) }},
		{"far future", "sendAt", func(r *service.SendRequest) { r.SendAt = f.now().Add(367 * 24 * time.Hour) }},
		{"rate 0", "rate", func(r *service.SendRequest) { r.Rate = ptr(0.0) }},
		{"rate below 0", "rate", func(r *service.SendRequest) { r.Rate = ptr(-1.0) }},
		{"rate not a number", "rate", func(r *service.SendRequest) { r.Rate = ptr(math.NaN()) }},
		{"rate without bound", "rate", func(r *service.SendRequest) { r.Rate = ptr(math.Inf(1)) }},
		{"unknown", "subscription", func(r *service.SendRequest) { r.Only = 99 }},
	} {
		r := service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}}
		tt.change(&r)
		_, sendErr := f.Send(t.Context(), r)
		_, dryErr := f.DryRun(t.Context(), r)
		if fieldOf(sendErr) != tt.field || fieldOf(dryErr) != tt.field {
			t.Errorf("%s: %v; dry run: %v; want the field %s", tt.name, sendErr, dryErr, tt.field)
		}
	}
	var unknown *service.UnknownSiteError
	f.Configured = sites{}
	r := service.SendRequest{Site: "c.example", Content: pushsvc.Content{Title: "x"}, Only: 1}
	if _, err := f.Send(t.Context(), r); !errors.As(err, &unknown) {
		t.Errorf("another site: %v", err)
	}
	if _, err := f.DryRun(t.Context(), r); !errors.As(err, &unknown) {
		t.Errorf("dry run of another site: %v", err)
	}
	if rows, err := f.Store.MessagePage(t.Context(), "a.example", "", 10); err != nil || len(rows) != 0 {
		t.Errorf("%d messages stored, %v", len(rows), err)
	}
	if f.wakes != 0 {
		t.Error("the engine was woken for nothing")
	}
}

// TestDryRun counts over more than one page of the store.
func TestDryRun(t *testing.T) {
	f := newFixture(t)
	ids := f.subscribers(t, 2500)
	r := request(0)
	r.Endpoint = "https://fcm.googleapis.com/fcm/send/x"
	if _, err := f.Subscribe(t.Context(), "a.example", r); err != nil {
		t.Fatal(err)
	}
	run, err := f.DryRun(t.Context(), service.SendRequest{Site: "A.example", Content: pushsvc.Content{Title: "x"}, SendAt: f.now().Add(time.Hour)})
	if err != nil || run.Audience.Total != 2501 || run.Audience.Services["apple"] != 2500 || run.Audience.Services["fcm"] != 1 ||
		run.Message.State != pushsvc.StateScheduled || run.Message.ID != "" || run.Message.Site != "a.example" || len(run.Warnings) != 0 {
		t.Errorf("%+v, %v", run, err)
	}
	run, err = f.DryRun(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}, Only: ids[7]})
	if err != nil || run.Audience.Total != 1 || run.Message.State != pushsvc.StateQueued {
		t.Errorf("to one: %+v, %v", run, err)
	}
	run, err = f.DryRun(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x", TTL: ptr(600)}, Rate: ptr(1.0)})
	if err != nil || len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], "after 42 minutes, but the message expires after 10 minutes") {
		t.Errorf("a rate that is too low: %q, %v", run.Warnings, err)
	}
	if sum, err := f.Site(t.Context(), "a.example"); err != nil || sum.Messages != 0 {
		t.Errorf("a dry run stored something: %+v, %v", sum, err)
	}
}

// TestSendToNobody: a site whose last subscriber has unsubscribed causes a
// warning.
func TestSendToNobody(t *testing.T) {
	f := newFixture(t)
	ids := f.subscribers(t, 1)
	if err := f.Store.DeleteSubscription(t.Context(), "a.example", ids[0]); err != nil {
		t.Fatal(err)
	}
	r := service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "<b>x</b>"}}
	run, err := f.DryRun(t.Context(), r)
	sent, sendErr := f.Send(t.Context(), r)
	for _, warnings := range [][]string{run.Warnings, sent.Warnings} {
		if len(warnings) != 2 || !strings.Contains(warnings[0], `title has "<b>"`) || !strings.Contains(warnings[1], "no subscriber at present") {
			t.Errorf("%q, %v, %v", warnings, err, sendErr)
		}
	}
}

// TestSendTemplate: a text that looks like a template is refused, unless it is
// marked as literal.
func TestSendTemplate(t *testing.T) {
	f := newFixture(t)
	f.subscribers(t, 1)
	r := service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "Hi {{ name }}"}}
	if _, err := f.Send(t.Context(), r); fieldOf(err) != "title" {
		t.Errorf("sent: %v", err)
	}
	if _, err := f.DryRun(t.Context(), r); fieldOf(err) != "title" {
		t.Errorf("a dry run: %v", err)
	}
	r.Literal = true
	if sent, err := f.Send(t.Context(), r); err != nil || sent.Message.Content.Title != "Hi {{ name }}" {
		t.Errorf("as it is: %+v, %v", sent, err)
	}
}

// TestNearestSite: the error for an unknown site suggests the nearest one.
func TestNearestSite(t *testing.T) {
	f := newFixture(t)
	f.Configured = sites{}
	f.subscribers(t, 1)
	for site, near := range map[string]string{"a.exmaple": "a.example", "www.a.example": "a.example", "a.example:8443": "a.example", "quite.another": ""} {
		_, err := f.Send(t.Context(), service.SendRequest{Site: site, Content: pushsvc.Content{Title: "x"}})
		if err == nil || strings.Contains(err.Error(), fmt.Sprintf("did you mean %q?", near)) != (near != "") || strings.Contains(err.Error(), "did you mean") != (near != "") {
			t.Errorf("%s: %v", site, err)
		}
	}
}

func TestControl(t *testing.T) {
	f := newFixture(t)
	f.subscribers(t, 2)
	sent, err := f.Send(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	id := sent.Message.ID
	var ended []pushsvc.Message
	f.Ended = func(m pushsvc.Message) { ended = append(ended, m) }
	for _, tt := range []struct {
		command pushsvc.Command
		state   pushsvc.State
		says    string
	}{
		{pushsvc.CommandResume, "", "can't be resumed: it is queued, and only a paused one can be"},
		{pushsvc.CommandPause, pushsvc.StatePaused, ""},
		{pushsvc.CommandPause, pushsvc.StatePaused, ""},
		{pushsvc.CommandResume, pushsvc.StateQueued, ""},
		{pushsvc.CommandCancel, pushsvc.StateCancelled, ""},
		{pushsvc.CommandCancel, pushsvc.StateCancelled, ""},
		{pushsvc.CommandPause, "", "can't be paused: it is cancelled"},
		{pushsvc.CommandResume, "", "can't be resumed: it is cancelled"},
	} {
		f.advance(time.Second)
		m, err := f.Control(t.Context(), "A.example", strings.ToUpper(id), tt.command)
		if tt.says != "" {
			if !errors.Is(err, pushsvc.ErrWrongState) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v; want %q", tt.command, err, tt.says)
			}
		} else if err != nil || m.State != tt.state {
			t.Errorf("%s: %s, %v; want %s", tt.command, m.State, err, tt.state)
		}
	}
	if len(ended) != 1 || ended[0].ID != id || ended[0].State != pushsvc.StateCancelled || ended[0].Progress.Cancelled != 2 {
		t.Errorf("the reported end is %+v", ended)
	}
	for _, tt := range []struct{ site, id string }{{"b.example", id}, {"a.example", "x"}} {
		if _, err := f.Control(t.Context(), tt.site, tt.id, pushsvc.CommandPause); !errors.Is(err, pushsvc.ErrNotFound) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if _, err := f.Control(t.Context(), "a b", id, pushsvc.CommandPause); fieldOf(err) != "site" {
		t.Errorf("%v", err)
	}
}
