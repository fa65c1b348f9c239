package storetest

import (
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

var sharedTests = []test{
	{"callers share nothing with what is stored", testShared},
	{"engines share nothing with what is stored", testSharedRange},
}

// testShared: whatever callers change in what they stored or read, a later read
// returns what was stored.
func testShared(h *harness) {
	ctx := h.Context()
	s := sub(siteA, 1)
	s.Topics, s.Device = []string{"news"}, device(1)
	imported := []pushsvc.Subscription{sub(siteA, 2)}
	imported[0].Topics = []string{"news"}
	ttl := 60
	m := message(siteA, 1)
	m.Topics, m.Content.TTL, m.Content.Vibrate = []string{"news"}, &ttl, []int{1}
	m.Content.Data, m.Content.Actions = []byte(`{"a":1}`), []pushsvc.Action{{Action: "a"}}
	row := setting(siteA, "prompt", `{"a":1}`)
	radius := 4
	p := storedPopup(siteA, "sale", "Sale")
	p.Popup.Theme.Radius, p.Popup.Where.Query, p.Popup.Where.Paths.In = &radius, map[string]string{"q": "1"}, []string{"/a"}
	image := upload(siteA, "a.png", "image")
	list := []any{"x", "y"}
	batch := people.Batch{Device: device(1), ID: batchID(1), At: epoch, Entries: []people.Entry{
		login("ann"),
		{Kind: people.EntryEvent, Time: epoch, Name: "E", Props: map[string]any{"p": "v"}},
		{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"list": list}},
	}}
	h.putSub(s, nil)
	if _, err := h.ImportSubscriptions(ctx, siteA, imported); err != nil {
		h.Fatal(err)
	}
	h.create(m)
	h.putSetting(row, 0)
	h.putPopup(p, 0)
	if _, err := h.PutUpload(ctx, image); err != nil {
		h.Fatal(err)
	}
	h.trackBatch(siteA, batch)
	want := h.sharedRows()
	s.Topics[0], imported[0].Topics[0], m.Topics[0], ttl, m.Content.Vibrate[0] = "x", "x", "x", 7, 7
	m.Content.Data[0], m.Content.Actions[0].Action, row.Document[0] = 'x', "x", 'x'
	radius, p.Popup.Where.Query["q"], p.Popup.Where.Paths.In[0], image.Data[0] = 7, "x", "x", 'x'
	list[0], batch.Entries[1].Props["p"] = "z", "x"
	h.same("after what was stored has been changed", h.sharedRows(), want)
	got := h.sharedRows()
	for i := range got.Subscriptions {
		got.Subscriptions[i].Topics[0] = "x"
	}
	c := &got.Message.Content
	got.Message.Topics[0], *c.TTL, c.Vibrate[0], c.Data[0], c.Actions[0].Action = "x", 7, 7, 'x', "x"
	got.Message.Progress.Failed["x"] = 7
	got.Setting.Document[0], got.Upload.Data[0] = 'x', 'x'
	w := got.Popup.Popup.Where
	*got.Popup.Popup.Theme.Radius, w.Query["q"], w.Paths.In[0] = 7, "x", "x"
	got.Person.Profile.Identities[0].Value, got.Person.Profile.Devices[0].Batches[0] = "x", 'x'
	got.Person.Profile.Attributes["list"].([]any)[0] = "z"
	got.Person.Profile.Events["E"] = people.EventCount{}
	got.Person.History[0].Props["p"] = "x"
	got.Person.Subscriptions[0].Topics[0] = "x"
	h.same("after what was read has been changed", h.sharedRows(), want)
}

// shared are rows with parts that a caller could change.
type shared struct {
	Subscriptions []pushsvc.Subscription
	Message       pushsvc.Message
	Setting       pushsvc.Setting
	Popup         popup.Stored
	Upload        popup.Upload
	Person        people.Person
}

func (h *harness) sharedRows() shared {
	h.Helper()
	image, err := h.Upload(h.Context(), siteA, "a.png")
	if err != nil {
		h.Fatal(err)
	}
	return shared{h.all(siteA), h.message(siteA, 1), h.setting(siteA, "prompt"), h.popups(siteA)[0], image, h.person(h.profile(1).ID)}
}

// testSharedRange: the same for what engines pass and get.
func testSharedRange(h *harness) {
	h.putAll(siteA, 5)
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, pushsvc.Outcome{ID: 3, Kind: pushsvc.OutcomeAccepted}, pushsvc.Outcome{ID: 5, Kind: pushsvc.OutcomeFailed, Reason: "why"})
	c.Settled, c.Answers = []pushsvc.SubscriptionID{3, 5}, map[string]pushsvc.Answers{"a.example": {Answers: 2}}
	m, got := h.checkpoint(c)
	want := slices.Clone(got.Settled)
	got.Settled[0], m.Progress.Failed["why"], m.Answers["a.example"] = 4, 7, pushsvc.Answers{}
	c.Settled[0], c.Answers["a.example"] = 4, pushsvc.Answers{Answers: 7}
	if m := h.message(siteA, 1); m.Progress.Failed["why"] != 1 || m.Answers["a.example"].Answers != 2 {
		h.Errorf("counted %v, answered %v", m.Progress.Failed, m.Answers)
	}
	r = h.claim(siteA, 1, epoch.Add(2*time.Minute))
	h.same("settled", r.Settled, want)
}
