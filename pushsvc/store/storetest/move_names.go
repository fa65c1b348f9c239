package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// testMoveChain: several moves in sequence work, and so does a move back.
func testMoveChain(h *harness) {
	h.put(siteA, 1)
	h.move(siteA, siteB, 1)
	h.move(siteB, siteNew, 1)
	names := func() (out []string) {
		h.Helper()
		all, err := h.Moves(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		for _, m := range all {
			out = append(out, fmt.Sprint(m.From, ">", m.Into, " ", m.Running))
		}
		return out
	}
	h.same("names", names(), []string{"a.example>new.example false", "b.example>new.example false"})
	h.put(siteA, 2)
	h.put(siteB, 2)
	h.same("subscriptions", h.count(siteNew), int64(2))
	h.move(siteNew, siteA, 1)
	h.same("names after the way back", names(), []string{"b.example>a.example false", "new.example>a.example false"})
	h.put(siteB, 3)
	h.same("subscriptions", h.count(siteA), int64(3))
	// Removing only the name makes it a new site.
	if err := h.RemoveSite(h.Context(), siteB); err != nil {
		h.Fatal(err)
	}
	h.same("subscriptions", h.count(siteA), int64(3))
	h.put(siteB, 1)
	h.same("of its own", h.count(siteB), int64(1))
	if err := h.RemoveSite(h.Context(), siteA); err != nil {
		h.Fatal(err)
	}
	h.same("names at the end", len(names()), 0)
	_, err := h.Site(h.Context(), siteNew)
	h.is("the other name of what was removed", err, pushsvc.ErrNotFound)
	// A site with only settings and pop-ups.
	h.putSetting(setting("d.example", "prompt", `{"d":1}`), 0)
	h.putPopup(storedPopup("d.example", "p", "P"), 0)
	h.move("d.example", siteNew, 1)
	h.same("a setting", h.setting(siteNew, "prompt").Site, siteNew)
	h.same("pop-ups", len(h.popups("d.example")), 1)
	if h.popups(siteNew)[0].Site != siteNew {
		h.Error("the pop-up's site is another")
	}
}

// testMoveRefused: an invalid move changes nothing.
func testMoveRefused(h *harness) {
	begin := func(from, into string) error {
		h.Helper()
		_, err := h.BeginMove(h.Context(), from, into, epoch)
		return err
	}
	named := func(what string, err error) {
		h.Helper()
		var name *pushsvc.SiteNameError
		if !errors.As(err, &name) {
			h.Errorf("%s: %v", what, err)
		}
	}
	h.is("of no site", begin(siteA, siteNew), pushsvc.ErrNotFound)
	_, err := h.MoveRows(h.Context(), siteA, 1)
	h.is("rows of no move", err, pushsvc.ErrNotFound)
	h.fillSite(siteA)
	before := h.traces(siteA)
	named("to itself", begin(siteA, siteA))
	named("to none", begin(siteA, ""))
	var busy *pushsvc.SiteBusyError
	if err := begin(siteA, siteNew); !errors.As(err, &busy) || !slices.Equal(busy.Messages, []string{messageID(1)}) {
		h.Errorf("while it is sent: %v", err)
	}
	h.same("after refusals", h.traces(siteA), before)
	h.still(siteA)
	for n := range popup.MaxPopups {
		h.putPopup(storedPopup(siteB, fmt.Sprint("p", n), "P"), 0)
	}
	h.is("too many pop-ups", begin(siteA, siteB), popup.ErrFull)
	if all, err := h.Moves(h.Context()); err != nil || len(all) > 0 {
		h.Errorf("moves %v, %v", all, err)
	}
	if err := begin(siteA, siteNew); err != nil {
		h.Fatal(err)
	}
	h.is("while it moves", begin(siteNew, "c.example"), pushsvc.ErrSiteMoving)
	h.is("to what moves", begin(siteB, siteA), pushsvc.ErrSiteMoving)
	h.move(siteA, siteNew, 100)
	named("of another name", begin(siteA, "c.example"))
	named("to another name", begin(siteB, siteA))
}
