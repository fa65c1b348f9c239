package webpush

// SiteContact is the VAPID "sub" for a site whose operator gave none: the
// site's own address, which leads to whoever runs it. It is empty where the
// site is no public host name, because push services refuse such a contact
// more often than none.
func SiteContact(site string) string {
	contact := "https://" + site
	if CheckContact(contact) != nil {
		return ""
	}
	return contact
}
