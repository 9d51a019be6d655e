package harbor

// Over is the same Harbor, reached in another way.
func (h *Harbor) Over(do Doer) Harbor {
	other := *h
	other.do = do
	return other
}
