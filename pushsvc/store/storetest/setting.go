package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var settingTests = []test{
	{"settings are kept by site and name", testSettings},
	{"overwriting a setting needs its revision", testSettingRevisions},
	{"of many writers over one revision one wins", testSettingRace},
	{"a deleted setting's revision is never used again", testSettingDeleted},
	{"a setting makes no site", testSettingNoSite},
	{"odd settings are kept or refused", testSettingOdd},
}

func setting(site, name, document string) pushsvc.Setting {
	return pushsvc.Setting{Site: site, Name: name, Document: []byte(document), Updated: epoch.Add(123456 * time.Microsecond)}
}

func (h *harness) putSetting(s pushsvc.Setting, expect pushsvc.Revision) pushsvc.Setting {
	h.Helper()
	row, err := h.PutSetting(h.Context(), s, expect)
	if err != nil {
		h.Fatalf("PutSetting: %v", err)
	}
	return row
}

func (h *harness) setting(site, name string) pushsvc.Setting {
	h.Helper()
	row, err := h.Setting(h.Context(), site, name)
	if err != nil {
		h.Fatalf("Setting: %v", err)
	}
	return row
}

func testSettings(h *harness) {
	if rows, err := h.Settings(h.Context(), "prompt"); err != nil || len(rows) != 0 {
		h.Errorf("an empty store has %d settings, %v", len(rows), err)
	}
	_, err := h.Setting(h.Context(), siteA, "prompt")
	h.is("of no site", err, pushsvc.ErrNotFound)
	var want []pushsvc.Setting
	for i, in := range []pushsvc.Setting{
		setting(siteA, "prompt", `{"kind":"bar"}`), setting(siteB, "prompt", `{"kind":"bell"}`), setting(siteA, "other", `[]`),
	} {
		document := bytes.Clone(in.Document)
		got := h.putSetting(in, 0)
		in.Document[0] = '!' // the caller's copy
		wanted := pushsvc.Setting{Site: in.Site, Name: in.Name, Document: document, Revision: got.Revision, Updated: epoch.Add(123 * time.Millisecond)}
		h.same(fmt.Sprint("row ", i), got, wanted)
		if got.Revision < 1 {
			h.Errorf("row %d has revision %d", i, got.Revision)
		}
		got.Document[0] = '?'
		h.same(fmt.Sprint("row read again ", i), h.setting(in.Site, in.Name), wanted)
		want = append(want, wanted)
	}
	_, err = h.Setting(h.Context(), siteB, "other")
	h.is("of another site", err, pushsvc.ErrNotFound)
	rows, err := h.Settings(h.Context(), "prompt")
	if err != nil {
		h.Fatal(err)
	}
	h.same("all", rows, want[:2])
}

func testSettingRevisions(h *harness) {
	ctx := h.Context()
	_, err := h.PutSetting(ctx, setting(siteA, "prompt", "1"), 7)
	h.is("over a revision that is not there", err, pushsvc.ErrRevision)
	first := h.putSetting(setting(siteA, "prompt", "1"), 0)
	_, err = h.PutSetting(ctx, setting(siteA, "prompt", "2"), 0)
	h.is("a second first one", err, pushsvc.ErrRevision)
	second := h.putSetting(setting(siteA, "prompt", "2"), first.Revision)
	if second.Revision <= first.Revision {
		h.Errorf("revision %d after %d", second.Revision, first.Revision)
	}
	_, err = h.PutSetting(ctx, setting(siteA, "prompt", "3"), first.Revision)
	h.is("over what was there before", err, pushsvc.ErrRevision)
	h.same("after refusals", h.setting(siteA, "prompt"), second)
	repeated := setting(siteA, "prompt", "2")
	repeated.Updated = epoch.Add(time.Hour)
	h.same("repeated", h.putSetting(repeated, first.Revision), second)
	third := h.putSetting(setting(siteA, "prompt", "3"), pushsvc.AnyRevision)
	if third.Revision <= second.Revision {
		h.Errorf("revision %d after %d", third.Revision, second.Revision)
	}
	h.is("deleting what was there before", h.DeleteSetting(ctx, siteA, "prompt", second.Revision), pushsvc.ErrRevision)
	h.same("after all", h.setting(siteA, "prompt"), third)
}

func testSettingRace(h *harness) {
	row := h.putSetting(setting(siteA, "prompt", "start"), 0)
	var won, lost atomic.Int64
	h.each(32, func(i int) error {
		_, err := h.handle(i).PutSetting(h.Context(), setting(siteA, "prompt", fmt.Sprint(i)), row.Revision)
		switch {
		case err == nil:
			won.Add(1)
		case errors.Is(err, pushsvc.ErrRevision):
			lost.Add(1)
		default:
			return err
		}
		return nil
	})
	if won.Load() != 1 || lost.Load() != 31 {
		h.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
}

func testSettingDeleted(h *harness) {
	ctx := h.Context()
	h.is("deleting nothing", h.DeleteSetting(ctx, siteA, "prompt", pushsvc.AnyRevision), pushsvc.ErrNotFound)
	row := h.putSetting(setting(siteA, "prompt", "1"), 0)
	if err := h.DeleteSetting(ctx, siteA, "prompt", row.Revision); err != nil {
		h.Fatal(err)
	}
	_, err := h.Setting(ctx, siteA, "prompt")
	h.is("reading it", err, pushsvc.ErrNotFound)
	h.is("deleting it again", h.DeleteSetting(ctx, siteA, "prompt", row.Revision), pushsvc.ErrNotFound)
	if rows, err := h.Settings(ctx, "prompt"); err != nil || len(rows) != 0 {
		h.Errorf("still %d settings, %v", len(rows), err)
	}
	again := h.putSetting(setting(siteA, "prompt", "1"), 0)
	if again.Revision <= row.Revision {
		h.Errorf("revision %d again", again.Revision)
	}
	_, err = h.PutSetting(ctx, setting(siteA, "prompt", "2"), row.Revision)
	h.is("with the deleted revision", err, pushsvc.ErrRevision)
	if err := h.DeleteSetting(ctx, siteA, "prompt", pushsvc.AnyRevision); err != nil {
		h.Error(err)
	}
}

func testSettingNoSite(h *harness) {
	h.putSetting(setting(siteA, "prompt", "1"), 0)
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 0 {
		h.Errorf("%d sites, %v", len(sites), err)
	}
	_, err := h.Site(h.Context(), siteA)
	h.is("the site", err, pushsvc.ErrNotFound)
	if _, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(1), nil }); err != nil {
		h.Errorf("a key beside a setting alone: %v", err)
	}
}

func testSettingOdd(h *harness) {
	for _, text := range Naughty() {
		if len(text) > pushsvc.MaxSettingName {
			continue
		}
		row := h.putSetting(setting(siteA, text, text), 0)
		h.same(text, h.setting(siteA, text), row)
	}
	large := strings.Repeat("x", pushsvc.MaxSettingDocument)
	if got := h.putSetting(setting(siteA, "large", large), 0); string(got.Document) != large {
		h.Errorf("%d bytes came back", len(got.Document))
	}
	empty := setting(siteA, "empty", "")
	h.same("empty", h.putSetting(empty, 0).Document, []byte{})
	for _, bad := range []pushsvc.Setting{
		setting("", "prompt", ""), setting(siteA, "", ""), setting(siteA, "large", large+"x"),
		setting(siteA, strings.Repeat("n", pushsvc.MaxSettingName+1), ""), setting(strings.Repeat("s", pushsvc.MaxSiteName+1), "prompt", ""),
	} {
		if _, err := h.PutSetting(h.Context(), bad, pushsvc.AnyRevision); err == nil {
			h.Errorf("a site of %d, a name of %d and a document of %d bytes were taken", len(bad.Site), len(bad.Name), len(bad.Document))
		}
	}
}
