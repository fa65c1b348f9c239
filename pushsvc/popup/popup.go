package popup

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// State says whether visitors see a pop-up.
type State string

// The states. Only what is running is shown; a draft never was.
const (
	Draft   State = "draft"
	Running State = "running"
	Paused  State = "paused"
)

// Kind is what a pop-up looks like.
type Kind string

// The kinds. Custom is drawn by the page, by its notificationCallback;
// HTML is the operator's own HTML, in a frame.
const (
	Box          Kind = "box"
	Banner       Kind = "banner"
	Interstitial Kind = "interstitial"
	Corner       Kind = "corner"
	Image        Kind = "image"
	Inbox        Kind = "inbox"
	HTML         Kind = "html"
	Custom       Kind = "custom"
)

// Names of variants that are none of the operator's.
const (
	// Control is the variant of visitors who are only watched.
	Control = "control"
	// Base is the variant of a pop-up without variants.
	Base = ""
)

// ZoneVisitor says that each visitor's own clock counts.
const ZoneVisitor = "visitor"

// Popup is a message on the pages of a site, as operators write it. All of its
// texts, and its URLs behind the host, may be Liquid templates.
type Popup struct {
	// ID is 1 to 64 of a–z, 0–9, "-" and "_".
	ID string `json:"id"`
	// Name is what the operator calls it.
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`
	Kind  Kind   `json:"kind"`
	// Position is "top" or "bottom" for a banner, "bottom-right",
	// "bottom-left", "top-right" or "top-left" for a corner; html takes all of
	// them and "full". Empty is the kind's own.
	Position string  `json:"position,omitempty"`
	Content  Content `json:"content"`
	// Click is what a click on the pop-up itself does.
	Click Action `json:"click,omitzero"`
	Theme Theme  `json:"theme,omitzero"`
	// Audience is an expression in CEL; empty is everybody.
	Audience string `json:"audience,omitempty"`
	Where    Where  `json:"where,omitzero"`
	When     When   `json:"when,omitzero"`
	// From and Until bound when it is shown, From included: times without a
	// zone as RFC 3339 writes them, such as "2026-12-01T09:00". Empty is no
	// bound.
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
	// TimeZone is whose clock From, Until and Caps.Day are by: "visitor", also
	// where it is empty, or an IANA name.
	TimeZone string `json:"timeZone,omitempty"`
	Caps     Caps   `json:"caps,omitzero"`
	// Priority decides where several apply: the highest is shown.
	Priority int       `json:"priority,omitempty"`
	Variants []Variant `json:"variants,omitempty"`
	// Control is the share of visitors, in per cent, who would see it and don't.
	Control    int         `json:"control,omitempty"`
	Conversion *Conversion `json:"conversion,omitempty"`
}

// Content is what a pop-up says.
type Content struct {
	Title    string `json:"title,omitempty"`
	Body     string `json:"body,omitempty"`
	Image    string `json:"image,omitempty"`
	ImageAlt string `json:"imageAlt,omitempty"`
	// ImageWidth and ImageHeight in pixels keep its place free while it loads.
	ImageWidth  int      `json:"imageWidth,omitempty"`
	ImageHeight int      `json:"imageHeight,omitempty"`
	Buttons     []Button `json:"buttons,omitempty"`
	Input       *Input   `json:"input,omitempty"`
	// HTML is for the kind html alone.
	HTML string `json:"html,omitempty"`
	// Trusted gives HTML the page's own powers.
	Trusted bool `json:"trusted,omitempty"`
	// KV is what callbacks and called functions get.
	KV map[string]string `json:"kv,omitempty"`
}

// Button is one of up to three.
type Button struct {
	// ID names it in statistics.
	ID     string `json:"id"`
	Text   string `json:"text"`
	Action Action `json:"action,omitzero"`
}

// Input is one question.
type Input struct {
	// Kind is "email", "choice" or "text".
	Kind  string `json:"kind"`
	Label string `json:"label"`
	// Options are the answers of a choice.
	Options []string `json:"options,omitempty"`
	// Event is the name of the event that an answer is.
	Event string `json:"event"`
	// Submit is the button's text.
	Submit string `json:"submit,omitempty"`
}

// Action is what a click does.
type Action struct {
	// Do is "none", also where it is empty, "open", "close", "call",
	// "subscribe", "copy" or "submit".
	Do string `json:"do,omitempty"`
	// URL is for open: an http(s) URL, or a path of the site.
	URL    string `json:"url,omitempty"`
	NewTab bool   `json:"newTab,omitempty"`
	// Function is for call: a function of the page, which gets KV.
	Function string `json:"function,omitempty"`
	// Text is for copy.
	Text string `json:"text,omitempty"`
	// Close closes the pop-up after it.
	Close bool `json:"close,omitempty"`
}

// Theme is how a pop-up looks.
type Theme struct {
	// Mode is "auto", also where it is empty, "dark" or "light".
	Mode string `json:"mode,omitempty"`
	// Colours are as CSS writes them: #rrggbb, a name, rgb() or hsl().
	Color      string `json:"color,omitempty"`
	TextColor  string `json:"textColor,omitempty"`
	Background string `json:"background,omitempty"`
	Foreground string `json:"foreground,omitempty"`
	// Radius of the corners and Width are in CSS pixels.
	Radius *int `json:"radius,omitempty"`
	Width  int  `json:"width,omitempty"`
	// Overlay is how dark the page behind it becomes, 0 to 1.
	Overlay *float64 `json:"overlay,omitempty"`
}

// Where is on which pages and for which visits a pop-up is. All that is
// given must hold; the zero value is everywhere.
type Where struct {
	Paths Paths `json:"paths,omitzero"`
	// Query has parameters that the page's address must have, and patterns of
	// their values, where * stands for anything.
	Query map[string]string `json:"query,omitempty"`
	// Referrer has hosts that the visitor may have come from, where * stands
	// for anything; "" is none at all.
	Referrer []string `json:"referrer,omitempty"`
	UTM      UTM      `json:"utm,omitzero"`
	// Devices are "desktop", "phone" or "tablet".
	Devices []string `json:"devices,omitempty"`
	// Languages are BCP 47 tags: "de" is also "de-AT".
	Languages []string `json:"languages,omitempty"`
	// Visitors is "new", who are on their first visit, or "returning"; empty is
	// both.
	Visitors string `json:"visitors,omitempty"`
}

// Paths are patterns of whole paths, where * stands for anything. Out wins.
type Paths struct {
	In  []string `json:"in,omitempty"`
	Out []string `json:"out,omitempty"`
}

// UTM are patterns of campaign parameters, where * stands for anything.
type UTM struct {
	Source   string `json:"source,omitempty"`
	Medium   string `json:"medium,omitempty"`
	Campaign string `json:"campaign,omitempty"`
}

// When is what a pop-up waits for on a page: whatever happens first. The
// zero value is nothing.
type When struct {
	// Seconds since the page was there.
	Seconds int `json:"seconds,omitempty"`
	// Scroll is in per cent of the page's scrollable height.
	Scroll int `json:"scroll,omitempty"`
	// Idle is seconds in which the visitor did nothing.
	Idle int `json:"idle,omitempty"`
	// Exit is the visitor about to leave.
	Exit bool `json:"exit,omitempty"`
	// Event is a name that the page gives to event().
	Event string `json:"event,omitempty"`
	// Click is a CSS selector.
	Click string `json:"click,omitempty"`
}

// Caps is how often one visitor sees a pop-up at most; 0 is no bound.
type Caps struct {
	Session int `json:"session,omitempty"`
	// Day is by the calendar of Popup.TimeZone.
	Day      int `json:"day,omitempty"`
	Lifetime int `json:"lifetime,omitempty"`
}

// Variant is one of several ways to say it. It says what is different, see
// [Popup.Variant].
type Variant struct {
	// ID is as a pop-up's, and not "control".
	ID string `json:"id"`
	// Weight is its share beside the other variants' weights; 0 is none.
	Weight  int      `json:"weight"`
	Content *Content `json:"content,omitempty"`
	Click   *Action  `json:"click,omitempty"`
	Theme   *Theme   `json:"theme,omitempty"`
	// Without are parts of the pop-up that the variant goes without, unless it brings
	// its own: "content", "click", "theme", or a member, such as "content.body" or
	// "theme.color".
	Without []string `json:"without,omitempty"`
}

// Conversion is what a pop-up is for.
type Conversion struct {
	// Event is its name.
	Event string `json:"event"`
	// Within is how long after the last view or click it counts, such as "24h"
	// or "7d".
	Within string `json:"within"`
}

// Settings are for all pop-ups of a site.
type Settings struct {
	// PerSession is how many pop-ups a visitor sees in one session at most, and
	// PerDay in one day, by the visitor's calendar; 0 is no bound. Inboxes don't
	// count.
	PerSession int `json:"popupsPerSession"`
	PerDay     int `json:"popupsPerDay"`
	// Holdout is the share of visitors, in per cent, who never see any.
	Holdout int `json:"holdout"`
}

// DefaultSettings are those of a site where nobody has set any.
func DefaultSettings() Settings { return Settings{PerSession: 1} }

// Stored is a pop-up as it is stored.
type Stored struct {
	Site     string
	Popup    Popup
	Revision pushsvc.Revision
	// Created and Updated are to the millisecond.
	Created, Updated time.Time
}
