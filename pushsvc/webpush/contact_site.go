package webpush

// SiteContact returns the VAPID "sub" for a site without a configured contact: the site's own address, which
// leads to its operator. It is empty if the site is not a public host name, because push services refuse such
// a contact more often than none.
func SiteContact(site string) string {
	contact := "https://" + site
	if CheckContact(contact) != nil {
		return ""
	}
	return contact
}
