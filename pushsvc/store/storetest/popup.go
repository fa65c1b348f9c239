package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

var popupTests = []test{
	{"pop-ups are kept by site and id", testPopups},
	{"overwriting a pop-up needs its revision", testPopupRevisions},
	{"of many writers of a pop-up one wins", testPopupRace},
	{"a deleted pop-up's revision is never used again", testPopupDeleted},
	{"a pop-up makes no site", testPopupNoSite},
	{"a site has so many pop-ups and no more", testPopupsFull},
	{"images are kept by site and name", testUploads},
	{"a site has so many images and no more", testUploadsFull},
	{"odd pop-ups and images are refused", testPopupOdd},
}

func storedPopup(site, id, title string) popup.Stored {
	at := epoch.Add(123456 * time.Microsecond)
	return popup.Stored{
		Site: site, Created: at, Updated: at,
		Popup: popup.Popup{
			ID: id, State: popup.Running, Kind: popup.Box,
			Content: popup.Content{Title: title, KV: map[string]string{"k": title}, Buttons: []popup.Button{{ID: "b", Text: title}}},
			Variants: []popup.Variant{
				{ID: "v", Weight: 1},
				{ID: "w", Weight: 1, Content: &popup.Content{Title: "W"}, Without: []string{"content.body"}},
			},
		},
	}
}

func (h *harness) putPopup(p popup.Stored, expect pushsvc.Revision) popup.Stored {
	h.Helper()
	row, err := h.PutPopup(h.Context(), p, expect)
	if err != nil {
		h.Fatalf("PutPopup: %v", err)
	}
	return row
}

func (h *harness) popups(site string) []popup.Stored {
	h.Helper()
	rows, err := h.Popups(h.Context(), site)
	if err != nil {
		h.Fatalf("Popups: %v", err)
	}
	return rows
}

func testPopups(h *harness) {
	_, err := h.Popup(h.Context(), siteA, "x")
	h.is("of no site", err, pushsvc.ErrNotFound)
	if rows := h.popups(siteA); len(rows) != 0 {
		h.Errorf("an empty store has %d pop-ups", len(rows))
	}
	var want []popup.Stored
	for i, title := range Naughty() {
		p := storedPopup(siteA, fmt.Sprintf("p-%02d", i), title)
		row := h.putPopup(p, 0)
		if row.Revision < 1 {
			h.Errorf("revision %d", row.Revision)
		}
		p.Revision, p.Created, p.Updated = row.Revision, epoch.Add(123*time.Millisecond), epoch.Add(123*time.Millisecond)
		h.same("the new row", row, p)
		row.Popup.Content.KV["k"] = "changed by the caller"
		want = append(want, p)
	}
	other := h.putPopup(storedPopup(siteB, "p-00", "other"), 0)
	h.same("all of a site", h.popups(siteA), want)
	h.same("of the other site", h.popups(siteB), []popup.Stored{other})
	got, err := h.Popup(h.Context(), siteA, "p-03")
	if err != nil {
		h.Fatal(err)
	}
	h.same("one", got, want[3])
	sites, err := h.PopupSites(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	h.same("sites", sites, []string{siteA, siteB})
}

func testPopupRevisions(h *harness) {
	first := h.putPopup(storedPopup(siteA, "p", "1"), 0)
	again := storedPopup(siteA, "p", "1")
	again.Updated = again.Updated.Add(time.Hour)
	h.same("the same once more", h.putPopup(again, 77), first)
	_, err := h.PutPopup(h.Context(), storedPopup(siteA, "p", "2"), 0)
	h.is("over what is there", err, pushsvc.ErrRevision)
	_, err = h.PutPopup(h.Context(), storedPopup(siteA, "q", "2"), 5)
	h.is("over what is not there", err, pushsvc.ErrRevision)
	next := storedPopup(siteA, "p", "2")
	next.Created, next.Updated = next.Created.Add(time.Hour), next.Updated.Add(time.Hour)
	second := h.putPopup(next, first.Revision)
	if second.Revision <= first.Revision || !second.Created.Equal(first.Created) || !second.Updated.After(first.Updated) {
		h.Errorf("revision %d after %d, created %v, updated %v", second.Revision, first.Revision, second.Created, second.Updated)
	}
	_, err = h.PutPopup(h.Context(), storedPopup(siteA, "p", "3"), first.Revision)
	h.is("over an old revision", err, pushsvc.ErrRevision)
	h.is("removing an old revision", h.DeletePopup(h.Context(), siteA, "p", first.Revision), pushsvc.ErrRevision)
	if row := h.putPopup(storedPopup(siteA, "p", "3"), pushsvc.AnyRevision); row.Popup.Content.Title != "3" {
		h.Errorf("%+v", row)
	}
}

func testPopupRace(h *harness) {
	first := h.putPopup(storedPopup(siteA, "p", "0"), 0)
	var won atomic.Int64
	h.each(40, func(i int) error {
		_, err := h.handle(i).PutPopup(h.Context(), storedPopup(siteA, "p", fmt.Sprint(i+1)), first.Revision)
		if err == nil {
			won.Add(1)
		}
		if errors.Is(err, pushsvc.ErrRevision) {
			return nil
		}
		return err
	})
	if won.Load() != 1 {
		h.Errorf("%d writers have won", won.Load())
	}
}

func testPopupDeleted(h *harness) {
	first := h.putPopup(storedPopup(siteA, "p", "1"), 0)
	if err := h.DeletePopup(h.Context(), siteA, "p", first.Revision); err != nil {
		h.Fatal(err)
	}
	h.is("once more", h.DeletePopup(h.Context(), siteA, "p", pushsvc.AnyRevision), pushsvc.ErrNotFound)
	h.is("of no site", h.DeletePopup(h.Context(), siteB, "p", pushsvc.AnyRevision), pushsvc.ErrNotFound)
	_, err := h.Popup(h.Context(), siteA, "p")
	h.is("reading it", err, pushsvc.ErrNotFound)
	if row := h.putPopup(storedPopup(siteA, "p", "1"), 0); row.Revision <= first.Revision {
		h.Errorf("revision %d after %d", row.Revision, first.Revision)
	}
}

func testPopupNoSite(h *harness) {
	h.putPopup(storedPopup(siteA, "p", "1"), 0)
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 0 {
		h.Errorf("%v, %v", sites, err)
	}
}

func testPopupsFull(h *harness) {
	h.each(popup.MaxPopups, func(i int) error {
		_, err := h.handle(i).PutPopup(h.Context(), storedPopup(siteA, fmt.Sprintf("p-%d", i), "x"), 0)
		return err
	})
	_, err := h.PutPopup(h.Context(), storedPopup(siteA, "more", "x"), 0)
	h.is("one more", err, popup.ErrFull)
	h.putPopup(storedPopup(siteA, "p-0", "changed"), pushsvc.AnyRevision)
	h.putPopup(storedPopup(siteB, "p-0", "x"), 0)
}

func upload(site, name, data string) popup.Upload {
	return popup.Upload{Site: site, Name: name, Size: len(data), Created: epoch.Add(123 * time.Millisecond), Data: []byte(data)}
}

func testUploads(h *harness) {
	large := upload(siteA, "large.png", string(bytes.Repeat([]byte{0, 255, 'x'}, popup.MaxUploadSize/3)))
	for _, u := range []popup.Upload{upload(siteA, "b.png", "\x00\xff"), large, upload(siteA, "empty.gif", ""), upload(siteB, "b.png", "other")} {
		got, err := h.PutUpload(h.Context(), u)
		if err != nil {
			h.Fatal(err)
		}
		h.same("new", got, u)
		got.Data = append(got.Data, '!')
	}
	again, err := h.PutUpload(h.Context(), upload(siteA, "b.png", "something else"))
	if err != nil || string(again.Data) != "\x00\xff" {
		h.Errorf("the same name: %q, %v", again.Data, err)
	}
	got, err := h.Upload(h.Context(), siteA, "large.png")
	if err != nil || !bytes.Equal(got.Data, large.Data) || got.Size != len(large.Data) {
		h.Errorf("%d of %d bytes, %v", len(got.Data), len(large.Data), err)
	}
	list, err := h.Uploads(h.Context(), siteA)
	if err != nil {
		h.Fatal(err)
	}
	var names []string
	for _, u := range list {
		names = append(names, u.Name)
		if u.Data != nil || !u.Created.Equal(epoch.Add(123*time.Millisecond)) {
			h.Errorf("%s has %d bytes in a list, created %v", u.Name, len(u.Data), u.Created)
		}
	}
	h.same("names", names, []string{"b.png", "empty.gif", "large.png"})
	if err := h.DeleteUpload(h.Context(), siteA, "b.png"); err != nil {
		h.Fatal(err)
	}
	h.is("once more", h.DeleteUpload(h.Context(), siteA, "b.png"), pushsvc.ErrNotFound)
	_, err = h.Upload(h.Context(), siteA, "b.png")
	h.is("reading it", err, pushsvc.ErrNotFound)
	if _, err := h.Upload(h.Context(), siteB, "b.png"); err != nil {
		h.Errorf("the other site's: %v", err)
	}
	h.is("of no site", h.DeleteUpload(h.Context(), "c.example", "b.png"), pushsvc.ErrNotFound)
}

func testUploadsFull(h *harness) {
	h.each(popup.MaxUploads, func(i int) error {
		_, err := h.handle(i).PutUpload(h.Context(), upload(siteA, fmt.Sprintf("%d.png", i), "x"))
		return err
	})
	_, err := h.PutUpload(h.Context(), upload(siteA, "more.png", "x"))
	h.is("one more", err, popup.ErrFull)
	if _, err := h.PutUpload(h.Context(), upload(siteA, "0.png", "x")); err != nil {
		h.Errorf("an existing one: %v", err)
	}
}

func testPopupOdd(h *harness) {
	long := string(bytes.Repeat([]byte("x"), 300))
	for _, p := range []popup.Stored{storedPopup("", "p", "x"), storedPopup(long, "p", "x"), storedPopup(siteA, "", "x"), storedPopup(siteA, long, "x")} {
		if _, err := h.PutPopup(h.Context(), p, 0); err == nil {
			h.Errorf("%.10q, %.10q is taken", p.Site, p.Popup.ID)
		}
	}
	for _, u := range []popup.Upload{upload("", "u", "x"), upload(siteA, "", "x"), upload(siteA, long, "x"), upload(siteA, "u", string(make([]byte, popup.MaxUploadSize+1)))} {
		if _, err := h.PutUpload(h.Context(), u); err == nil {
			h.Errorf("%.10q, %.10q with %d bytes is taken", u.Site, u.Name, len(u.Data))
		}
	}
	_, err := h.Upload(h.Context(), siteA, "")
	h.is("an image without a name", err, pushsvc.ErrNotFound)
	_, err = h.Popup(h.Context(), siteA, "")
	h.is("a pop-up without an id", err, pushsvc.ErrNotFound)
}
