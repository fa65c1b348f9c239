package popup

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// State decides whether visitors see a pop-up.
type State string

// The states. Only a running pop-up is shown; a draft has never been running.
const (
	Draft   State = "draft"
	Running State = "running"
	Paused  State = "paused"
)

// Kind is what a pop-up looks like.
type Kind string

// The kinds. The page's notificationCallback draws Custom; HTML is the operator's own HTML, in a frame.
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

// Names of variants that operators don't choose.
const (
	// Control is the variant of the control group, which does not see the pop-up.
	Control = "control"
	// Base is the variant of a pop-up without variants.
	Base = ""
)

// ZoneVisitor means that each visitor's own clock counts.
const ZoneVisitor = "visitor"

// Popup is a message on the pages of a site, as operators write it. All of its texts, and its URLs after the
// host, may be Liquid templates.
type Popup struct {
	// ID is 1 to 64 of a–z, 0–9, "-" and "_".
	ID string `json:"id"`
	// Name is the operator's name for it.
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`
	Kind  Kind   `json:"kind" api:"required"`
	// Position is "top" or "bottom" for a banner; "bottom-right", "bottom-left", "top-right" or "top-left"
	// for a corner; html takes all of them and "full". Empty means the kind's default.
	Position string  `json:"position,omitempty" api:"oneof=top|bottom|bottom-right|bottom-left|top-right|top-left|full"`
	Content  Content `json:"content"`
	// Click is what a click on the pop-up itself does.
	Click Action `json:"click,omitzero"`
	Theme Theme  `json:"theme,omitzero"`
	// Audience is a CEL expression; empty means everyone.
	Audience string `json:"audience,omitempty"`
	Where    Where  `json:"where,omitzero"`
	When     When   `json:"when,omitzero"`
	// From (inclusive) and Until bound when it is shown: times without a zone as in RFC 3339, such as
	// "2026-12-01T09:00". Empty means no bound.
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
	// TimeZone is the clock of From, Until and Caps.Day: "visitor" (or empty), or an IANA name.
	TimeZone string `json:"timeZone,omitempty"`
	Caps     Caps   `json:"caps,omitzero"`
	// Priority decides between several that apply: the highest is shown.
	Priority int       `json:"priority,omitempty"`
	Variants []Variant `json:"variants,omitempty"`
	// Control is the percentage of visitors who would see it and don't.
	Control    int         `json:"control,omitempty"`
	Conversion *Conversion `json:"conversion,omitempty"`
}

// Content is what a pop-up shows.
type Content struct {
	Title    string `json:"title,omitempty"`
	Body     string `json:"body,omitempty"`
	Image    string `json:"image,omitempty"`
	ImageAlt string `json:"imageAlt,omitempty"`
	// ImageWidth and ImageHeight, in pixels, reserve the image's space while it loads.
	ImageWidth  int      `json:"imageWidth,omitempty"`
	ImageHeight int      `json:"imageHeight,omitempty"`
	Buttons     []Button `json:"buttons,omitempty"`
	Input       *Input   `json:"input,omitempty"`
	// HTML is only for the kind html.
	HTML string `json:"html,omitempty"`
	// Trusted runs HTML with the page's own powers.
	Trusted bool `json:"trusted,omitempty"`
	// KV is passed to callbacks and called functions.
	KV map[string]string `json:"kv,omitempty"`
}

// Button is one of at most MaxButtons.
type Button struct {
	// ID names it in statistics.
	ID     string `json:"id" api:"required"`
	Text   string `json:"text" api:"required"`
	Action Action `json:"action,omitzero"`
}

// Input is one question.
type Input struct {
	// Kind is "email", "choice" or "text".
	Kind  string `json:"kind" api:"required,oneof=email|choice|text"`
	Label string `json:"label" api:"required"`
	// Options are the answers of a choice.
	Options []string `json:"options,omitempty"`
	// Event is the name of the event that an answer records.
	Event string `json:"event" api:"required"`
	// Submit is the button's text.
	Submit string `json:"submit,omitempty"`
}

// Action is what a click does.
type Action struct {
	// Do is "none" (or empty), "open", "close", "call", "subscribe", "copy" or "submit".
	Do string `json:"do,omitempty" api:"oneof=none|open|close|call|subscribe|copy|submit"`
	// URL is for open: an http(s) URL, or a path of the site.
	URL    string `json:"url,omitempty"`
	NewTab bool   `json:"newTab,omitempty"`
	// Function is for call: a function of the page, which receives KV.
	Function string `json:"function,omitempty"`
	// Text is for copy.
	Text string `json:"text,omitempty"`
	// Close closes the pop-up after the action.
	Close bool `json:"close,omitempty"`
}

// Theme is how a pop-up looks.
type Theme struct {
	// Mode is "auto" (or empty), "dark" or "light".
	Mode string `json:"mode,omitempty" api:"oneof=auto|dark|light"`
	// Colours are CSS colours: #rrggbb, a name, rgb() or hsl().
	Color      string `json:"color,omitempty"`
	TextColor  string `json:"textColor,omitempty"`
	Background string `json:"background,omitempty"`
	Foreground string `json:"foreground,omitempty"`
	// Radius of the corners and Width are in CSS pixels.
	Radius *int `json:"radius,omitempty"`
	Width  int  `json:"width,omitempty"`
	// Overlay is how dark the page under the pop-up becomes, 0 to 1.
	Overlay *float64 `json:"overlay,omitempty"`
}

// Where is on which pages and for which visits a pop-up shows. All conditions must hold; the zero value is
// everywhere. In patterns * matches any text.
type Where struct {
	Paths Paths `json:"paths,omitzero"`
	// Query has parameters that the page's address must have, and patterns of their values.
	Query map[string]string `json:"query,omitempty"`
	// Referrer has patterns of hosts that the visitor may come from; "" means no referrer.
	Referrer []string `json:"referrer,omitempty"`
	UTM      UTM      `json:"utm,omitzero"`
	// Devices are "desktop", "phone" or "tablet".
	Devices []string `json:"devices,omitempty" api:"oneof=desktop|phone|tablet"`
	// Languages are BCP 47 tags: "de" is also "de-AT".
	Languages []string `json:"languages,omitempty"`
	// Visitors is "new" (on the first visit) or "returning"; empty means both.
	Visitors string `json:"visitors,omitempty" api:"oneof=new|returning"`
}

// Paths are patterns of whole paths. Out wins.
type Paths struct {
	In  []string `json:"in,omitempty"`
	Out []string `json:"out,omitempty"`
}

// UTM are patterns of campaign parameters.
type UTM struct {
	Source   string `json:"source,omitempty"`
	Medium   string `json:"medium,omitempty"`
	Campaign string `json:"campaign,omitempty"`
}

// When is what a pop-up waits for on a page: the first of these to happen. The zero value means no wait.
type When struct {
	// Seconds is the time since the page loaded.
	Seconds int `json:"seconds,omitempty"`
	// Scroll is a percentage of the page's scrollable height.
	Scroll int `json:"scroll,omitempty"`
	// Idle is seconds without input from the visitor.
	Idle int `json:"idle,omitempty"`
	// Exit is a visitor about to leave.
	Exit bool `json:"exit,omitempty"`
	// Event is a name that the page passes to event().
	Event string `json:"event,omitempty"`
	// Click is a CSS selector.
	Click string `json:"click,omitempty"`
}

// Caps is how often one visitor may see a pop-up; 0 means no limit.
type Caps struct {
	Session int `json:"session,omitempty"`
	// Day is a calendar day in Popup.TimeZone.
	Day      int `json:"day,omitempty"`
	Lifetime int `json:"lifetime,omitempty"`
}

// Variant is an alternative version of a pop-up. It has only what is different, see [Popup.Variant].
type Variant struct {
	// ID is like a pop-up's, and not "control".
	ID string `json:"id" api:"required"`
	// Weight is its share relative to the other variants' weights.
	Weight  int      `json:"weight"`
	Content *Content `json:"content,omitempty"`
	Click   *Action  `json:"click,omitempty"`
	Theme   *Theme   `json:"theme,omitempty"`
	// Without are parts of the pop-up that the variant drops, unless it has its own: "content", "click",
	// "theme", or a member, such as "content.body" or "theme.color".
	Without []string `json:"without,omitempty"`
}

// Conversion is the goal of a pop-up.
type Conversion struct {
	// Event is the goal's event.
	Event string `json:"event" api:"required"`
	// Within is how long after the last view or click it counts, such as "24h" or "7d".
	Within string `json:"within" api:"required"`
}

// Settings apply to all pop-ups of a site.
type Settings struct {
	// PerSession and PerDay (by the visitor's calendar) limit how many pop-ups a visitor sees; 0 means no
	// limit. Inboxes don't count.
	PerSession int `json:"popupsPerSession"`
	PerDay     int `json:"popupsPerDay"`
	// Holdout is the percentage of visitors who never see any.
	Holdout int `json:"holdout"`
}

// DefaultSettings are the settings of a site that has none stored.
func DefaultSettings() Settings { return Settings{PerSession: 1} }

// Stored is a pop-up as it is stored.
type Stored struct {
	Site     string
	Popup    Popup
	Revision pushsvc.Revision
	// Created and Updated are in milliseconds.
	Created, Updated time.Time
}
