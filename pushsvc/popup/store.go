package popup

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Bounds of one site.
const (
	MaxPopups     = 200
	MaxUploads    = 200
	MaxUploadSize = 1 << 20 // bytes
)

// ErrFull means that the site has the maximum number.
var ErrFull = errors.New("the site has the maximum number")

// Store keeps pop-ups and their images by site. A site need not have subscribers; a pop-up alone does not
// make a Site of a SubscriptionStore. Revisions are those of a SettingStore.
type Store interface {
	// PutPopup stores p.Popup under its ID and returns the row.
	//
	//   - expect is the revision that the stored row must have: AnyRevision, or 0 for no row. Otherwise it
	//     returns ErrRevision.
	//   - An equal row succeeds without a change, whatever expect is.
	//   - Created is kept from the row that it replaces; p.Revision is ignored.
	//   - ErrFull if the site would have more than MaxPopups.
	PutPopup(ctx context.Context, p Stored, expect pushsvc.Revision) (Stored, error)
	// Popup returns a pop-up; ErrNotFound.
	Popup(ctx context.Context, site, id string) (Stored, error)
	// Popups returns those of a site by id. One that can't be read is skipped.
	Popups(ctx context.Context, site string) ([]Stored, error)
	// PopupSites returns the sites that have or had a pop-up or an upload.
	PopupSites(ctx context.Context) ([]string, error)
	// DeletePopup removes a pop-up if it has the expected revision, else it returns ErrRevision; ErrNotFound
	// if it does not exist.
	DeletePopup(ctx context.Context, site, id string, expect pushsvc.Revision) error

	// PutUpload stores an image and returns its row. The name identifies the image: if it is stored already,
	// nothing changes. ErrFull if the site would have more than MaxUploads.
	PutUpload(ctx context.Context, u Upload) (Upload, error)
	// Upload returns an image; ErrNotFound.
	Upload(ctx context.Context, site, name string) (Upload, error)
	// Uploads returns those of a site by name, without Data. One that can't be read is skipped.
	Uploads(ctx context.Context, site string) ([]Upload, error)
	// DeleteUpload removes an image; ErrNotFound.
	DeleteUpload(ctx context.Context, site, name string) error
}

// Upload is an image that an operator has uploaded.
type Upload struct {
	Site string `json:"-"`
	// Name is a digest of Data plus the file extension of its type.
	Name string `json:"name"`
	// Size is the length of Data in bytes.
	Size int `json:"size"`
	// Created is in milliseconds.
	Created time.Time `json:"created"`
	Data    []byte    `json:"-"`
}

// checkRow refuses what no store accepts.
func checkRow(site, id string) error {
	switch {
	case site == "" || len(site) > pushsvc.MaxSiteName:
		return errors.New("the pop-up's site has no name, or too long a one")
	case id == "" || len(id) > MaxID:
		return errors.New("the pop-up has no id, or too long a one")
	}
	return nil
}

// check refuses what no store accepts.
func (u Upload) check() error {
	if err := checkRow(u.Site, u.Name); err != nil {
		return err
	}
	if len(u.Data) > MaxUploadSize {
		return errors.New("the image is too large")
	}
	return nil
}

// Put returns the row that PutPopup stores for p, without its new revision. known is the present row, zero if
// the store has no readable one; others is the number of the site's other pop-ups. ok is false if known has
// the same pop-up already, and stays.
func (p Stored) Put(known Stored, others int, expect pushsvc.Revision) (row Stored, ok bool, err error) {
	if err := checkRow(p.Site, p.Popup.ID); err != nil {
		return Stored{}, false, err
	}
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

// Put returns the row that PutUpload stores for u. known is the present image of that name, zero if there is
// none that can be read; others is the number of the site's other images. ok is false if known stays.
func (u Upload) Put(known Upload, others int) (row Upload, ok bool, err error) {
	if err := u.check(); err != nil {
		return Upload{}, false, err
	}
	if known.Name != "" {
		return known, false, nil
	}
	if others >= MaxUploads {
		return Upload{}, false, ErrFull
	}
	u.Created, u.Size, u.Data = u.Created.UTC().Truncate(time.Millisecond), len(u.Data), append([]byte{}, u.Data...)
	return u, true, nil
}
