package pushsvc

import (
	"context"
	"errors"
	"time"
)

// Limits of settings, in bytes.
const (
	MaxSettingName     = 64
	MaxSettingDocument = 16 << 10
)

// AnyRevision is what a write expects that does not mind what it replaces.
const AnyRevision Revision = -1

// Revision counts the writes of a site's settings. It rises with each and is
// never used again, not even after a deletion; 0 is that of what is not there.
type Revision int64

// Setting is one document that an operator has set for a site at run time.
type Setting struct {
	// Site is the canonical name.
	Site string
	// Name says what the document is about, such as "prompt".
	Name string
	// Document is JSON; stores do not look into it.
	Document []byte
	Revision Revision
	// Updated is when it was written, to the millisecond.
	Updated time.Time
}

// SettingStore keeps settings by site and name. A site need not have
// subscribers, and is no Site of a SubscriptionStore by a setting alone.
type SettingStore interface {
	// Setting gives one; ErrNotFound.
	Setting(ctx context.Context, site, name string) (Setting, error)
	// Settings gives those of all sites with the name, by site. One that can't
	// be read is passed over.
	Settings(ctx context.Context, name string) ([]Setting, error)
	// PutSetting stores s.Document if the present revision is the expected one
	// (AnyRevision is always), else it gives ErrRevision; the row is returned.
	// Where the very same document is there already it changes nothing and
	// succeeds, whatever is expected, so that a call may be repeated.
	// s.Revision is ignored.
	PutSetting(ctx context.Context, s Setting, expect Revision) (Setting, error)
	// DeleteSetting removes one if its revision is the expected one, else it
	// gives ErrRevision; ErrNotFound where there is none.
	DeleteSetting(ctx context.Context, site, name string, expect Revision) error
}

// CheckSetting refuses what no store takes: it is for stores.
func CheckSetting(s Setting) error {
	switch {
	case s.Site == "" || len(s.Site) > MaxSiteName:
		return errors.New("the setting's site has no name, or too long a one")
	case s.Name == "" || len(s.Name) > MaxSettingName:
		return errors.New("the setting has no name, or too long a one")
	case len(s.Document) > MaxSettingDocument:
		return errors.New("the setting's document is too large")
	}
	return nil
}
