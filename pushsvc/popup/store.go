package popup

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Bounds on what a site may have of pop-ups.
const (
	MaxPopups     = 200
	MaxUploads    = 200
	MaxUploadSize = 1 << 20 // bytes
)

// ErrFull says that the site has as many as it may.
var ErrFull = errors.New("the site has as many as it may")

// Store keeps pop-ups and the images that belong to them by site. A site
// need not have subscribers, and is no Site of a SubscriptionStore by a pop-up
// alone. Revisions are as those of a SettingStore.
type Store interface {
	// PutPopup stores p.Popup under its ID if the present revision is the
	// expected one (AnyRevision is always, 0 is where there is none), else it
	// gives ErrRevision. Where the very same is there already it changes
	// nothing and succeeds, whatever is expected. Created is kept of what it
	// replaces. The row is returned. ErrFull where it would be one more than
	// MaxPopups. p.Revision is ignored.
	PutPopup(ctx context.Context, p Stored, expect pushsvc.Revision) (Stored, error)
	// Popup gives one; ErrNotFound.
	Popup(ctx context.Context, site, id string) (Stored, error)
	// Popups gives those of a site by id. One that can't be read is passed
	// over.
	Popups(ctx context.Context, site string) ([]Stored, error)
	// PopupSites lists the sites that have or had a pop-up or an upload.
	PopupSites(ctx context.Context) ([]string, error)
	// DeletePopup removes one if its revision is the expected one, else it
	// gives ErrRevision; ErrNotFound where there is none.
	DeletePopup(ctx context.Context, site, id string, expect pushsvc.Revision) error

	// PutUpload stores an image. One of the same name is the same image: then
	// nothing changes, and that row is returned. ErrFull where it would be one
	// more than MaxUploads.
	PutUpload(ctx context.Context, u Upload) (Upload, error)
	// Upload gives one; ErrNotFound.
	Upload(ctx context.Context, site, name string) (Upload, error)
	// Uploads gives those of a site by name, without their Data. One that can't
	// be read is passed over.
	Uploads(ctx context.Context, site string) ([]Upload, error)
	// DeleteUpload removes one; ErrNotFound where there is none.
	DeleteUpload(ctx context.Context, site, name string) error
}

// Upload is an image that an operator has uploaded.
type Upload struct {
	Site string `json:"-"`
	// Name is a digest of Data with the type's ending.
	Name string `json:"name"`
	// Size is Data's, in bytes.
	Size int `json:"size"`
	// Created is to the millisecond.
	Created time.Time `json:"created"`
	Data    []byte    `json:"-"`
}

// CheckID refuses what no store takes: it is for stores.
func CheckID(site, id string) error {
	switch {
	case site == "" || len(site) > pushsvc.MaxSiteName:
		return errors.New("the pop-up's site has no name, or too long a one")
	case id == "" || len(id) > MaxID:
		return errors.New("the pop-up has no id, or too long a one")
	}
	return nil
}

// CheckUpload refuses what no store takes: it is for stores.
func CheckUpload(u Upload) error {
	if err := CheckID(u.Site, u.Name); err != nil {
		return err
	}
	if len(u.Data) > MaxUploadSize {
		return errors.New("the image is too large")
	}
	return nil
}

// Put returns the row that PutPopup stores for p, without its new revision. known is the
// present row, zero where there is none that can be read, and others how many other
// pop-ups the site has. ok is false where known has the same pop-up already, and stays.
func (p Stored) Put(known Stored, others int, expect pushsvc.Revision) (row Stored, ok bool, err error) {
	if known.Revision != 0 && same(known.Popup, p.Popup) {
		return known, false, nil
	}
	if err := expect.Expect(known.Revision); err != nil {
		return Stored{}, false, err
	}
	if known.Revision == 0 && others >= MaxPopups {
		return Stored{}, false, ErrFull
	}
	p.Created, p.Updated = p.Created.UTC().Truncate(time.Millisecond), p.Updated.UTC().Truncate(time.Millisecond)
	if known.Revision != 0 {
		p.Created = known.Created
	}
	return p, true, nil
}

// Put returns the row that PutUpload stores for u. known is the present image of that
// name, zero where there is none that can be read, and others how many others the site
// has. ok is false where known stays.
func (u Upload) Put(known Upload, others int) (row Upload, ok bool, err error) {
	if known.Name != "" {
		return known, false, nil
	}
	if others >= MaxUploads {
		return Upload{}, false, ErrFull
	}
	u.Created, u.Size, u.Data = u.Created.UTC().Truncate(time.Millisecond), len(u.Data), append([]byte{}, u.Data...)
	return u, true, nil
}
