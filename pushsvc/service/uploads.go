package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// UploadsFolder is the folder of uploads, below a site's prefix.
const UploadsFolder = "i/"

// imageTypes are the media types of uploads, by file extension.
var imageTypes = map[string]string{
	"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif",
}

// ImageType returns the media type of an upload's name.
func ImageType(name string) string {
	_, ending, _ := strings.Cut(name, ".")
	return imageTypes[ending]
}

// imageEnding returns the extension for an image's first bytes; empty for an
// unsupported type. SVG is unsupported: it can contain scripts.
func imageEnding(data []byte) string {
	has := func(at int, text string) bool { return len(data) >= at && bytes.HasPrefix(data[at:], []byte(text)) }
	switch {
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "png"
	case has(0, "\xff\xd8\xff"):
		return "jpg"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "gif"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "webp"
	case has(4, "ftypavif"), has(4, "ftypavis"):
		return "avif"
	}
	return ""
}

// PutUpload stores an image. Its bytes determine the type.
func (s *Service) PutUpload(ctx context.Context, site string, data []byte) (popup.Upload, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return popup.Upload{}, err
	}
	if len(data) > popup.MaxUploadSize {
		return popup.Upload{}, &pushsvc.FieldError{Field: "image", Problem: fmt.Sprintf("is larger than %d bytes", popup.MaxUploadSize)}
	}
	ending := imageEnding(data)
	if ending == "" {
		return popup.Upload{}, &pushsvc.FieldError{Field: "image", Problem: "is neither PNG, JPEG, GIF, WebP nor AVIF"}
	}
	sum := sha256.Sum256(data)
	u := popup.Upload{Site: name, Name: hex.EncodeToString(sum[:12]) + "." + ending, Created: s.Clock(), Data: data, Size: len(data)}
	return s.Store.PutUpload(ctx, u)
}

// Uploads returns a site's uploads, without their bytes.
func (s *Service) Uploads(ctx context.Context, site string) ([]popup.Upload, error) {
	name, err := siteName(site)
	if err != nil {
		return nil, err
	}
	return s.Store.Uploads(ctx, name)
}

// Upload returns an image with its bytes. The error is [pushsvc.ErrNotFound] if the site has no such
// upload.
func (s *Service) Upload(ctx context.Context, site, upload string) (popup.Upload, error) {
	name, err := siteName(site)
	if err != nil {
		return popup.Upload{}, err
	}
	return s.Store.Upload(ctx, name, upload)
}

// DeleteUpload removes an image.
func (s *Service) DeleteUpload(ctx context.Context, site, upload string) error {
	name, err := siteName(site)
	if err != nil {
		return err
	}
	return s.Store.DeleteUpload(ctx, name, upload)
}
