package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// StoredPopup is a pop-up as lists and writes answer it. What a GET of one answers is the
// pop-up alone: it can be edited and put back.
type StoredPopup struct {
	Site     string           `json:"site"`
	Revision pushsvc.Revision `json:"revision"`
	Created  time.Time        `json:"created"`
	Updated  time.Time        `json:"updated"`
	Popup    popup.Popup      `json:"popup"`
	// Warnings are in the answers to writes alone.
	Warnings []string `json:"warnings,omitempty"`
}

// PopupList is a site's pop-ups.
type PopupList struct {
	Popups []StoredPopup `json:"popups"`
}

// PopupStateRequest runs or pauses a pop-up.
type PopupStateRequest struct {
	State popup.State `json:"state" api:"required"`
}

// PopupStats is what came of a pop-up: all in all, and hour by hour for as long as
// hours are kept apart.
type PopupStats struct {
	Popup    string        `json:"popup"`
	Variants []PopupResult `json:"variants"`
	Hours    []PopupHour   `json:"hours"`
}

// PopupHour is what came of a pop-up in one hour.
type PopupHour struct {
	// Hour is when it began, in UTC.
	Hour     time.Time     `json:"hour"`
	Variants []PopupResult `json:"variants"`
}

// PopupResult is what came of a pop-up for one of its variants.
type PopupResult struct {
	// Variant is empty for a pop-up without variants, and "control" for the
	// visitors who were only watched.
	Variant string `json:"variant"`
	// Viewed counts views; of the control group, the times at which it would
	// have been seen.
	Viewed    int64 `json:"viewed"`
	Clicked   int64 `json:"clicked"`
	Closed    int64 `json:"closed"`
	Submitted int64 `json:"submitted"`
	Errors    int64 `json:"errors"`
	Converted int64 `json:"converted"`
	// Elements are the clicks by what was clicked.
	Elements map[string]int64 `json:"elements,omitempty"`
}

// PreviewRequest asks for an address that shows a pop-up.
type PreviewRequest struct {
	// Page is a path or a URL of the site; missing is the start page.
	Page string `json:"page,omitempty"`
	// Variant is the id of a variant; missing is the first one.
	Variant string `json:"variant,omitempty"`
}

// Preview is an address that shows a pop-up to whoever opens it, whatever its state.
type Preview struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Upload is an image.
type Upload struct {
	// Name is a digest of the image with the type's ending.
	Name string `json:"name"`
	// Size is in bytes.
	Size    int       `json:"size"`
	Created time.Time `json:"created"`
	// Type is the media type.
	Type string `json:"type"`
	// Path is where it is below the site's prefix.
	Path string `json:"path"`
	// Address is where the site has it; missing where the server has no such site.
	Address string `json:"address,omitempty"`
}

// UploadList is a site's images.
type UploadList struct {
	Uploads []Upload `json:"uploads"`
}
