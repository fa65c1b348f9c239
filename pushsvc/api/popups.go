package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// StoredPopup is a pop-up in lists and in answers to writes. A GET of one pop-up answers with the
// pop-up alone: it can be edited and put back.
type StoredPopup struct {
	Site     string           `json:"site"`
	Revision pushsvc.Revision `json:"revision"`
	Created  time.Time        `json:"created"`
	Updated  time.Time        `json:"updated"`
	Popup    popup.Popup      `json:"popup"`
	// Warnings are only in the answers to writes.
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

// PopupStats are the counts of a pop-up: in total, and by hour for as long as hours are kept
// separately.
type PopupStats struct {
	Popup    string        `json:"popup"`
	Variants []PopupResult `json:"variants"`
	Hours    []PopupHour   `json:"hours"`
}

// PopupHour are the counts of a pop-up in one hour.
type PopupHour struct {
	// Hour is when the hour began, in UTC.
	Hour     time.Time     `json:"hour"`
	Variants []PopupResult `json:"variants"`
}

// PopupResult are the counts of one variant of a pop-up.
type PopupResult struct {
	// Variant is empty for a pop-up without variants, and "control" for the visitors of the control
	// group.
	Variant string `json:"variant"`
	// Viewed counts views; for the control group, how often it would have been seen.
	Viewed    int64 `json:"viewed"`
	Clicked   int64 `json:"clicked"`
	Closed    int64 `json:"closed"`
	Submitted int64 `json:"submitted"`
	Errors    int64 `json:"errors"`
	Converted int64 `json:"converted"`
	// Elements are the clicks by the clicked element.
	Elements map[string]int64 `json:"elements,omitempty"`
}

// PreviewRequest requests an address that shows a pop-up.
type PreviewRequest struct {
	// Page is a path or a URL of the site; missing is the start page.
	Page string `json:"page,omitempty"`
	// Variant is the id of a variant; missing is the first one.
	Variant string `json:"variant,omitempty"`
}

// Preview is an address that shows a pop-up to every visitor who opens it, whatever its state.
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
	// Path is the image's path below the site's prefix.
	Path string `json:"path"`
	// Address is the image's URL; missing if the server has no such site.
	Address string `json:"address,omitempty"`
}

// UploadList is a site's images.
type UploadList struct {
	Uploads []Upload `json:"uploads"`
}
