package storagetest

import "fmt"

// Many adds repositories as a company's registry has them, all of the same size:
// each tag has an image of its own, of ten layers, most of which other tags have
// too. Every fifth is an index of two platforms.
func (b *Builder) Many(repositories, tags int) {
	for r := range repositories {
		repository := fmt.Sprintf("group-%d/app-%d", r/20, r)
		for t := range tags {
			name := fmt.Sprintf("image-%d-%d", r, t)
			layers := make([]string, 10)
			for l := range layers {
				layers[l] = fmt.Sprintf("layer-%d", (r+t+l)%200)
			}
			b.Image(name, "amd64", layers...)
			if t%5 == 4 {
				b.Image(name+"-arm", "arm64/v8", layers...)
				b.Index(name+"-multi", name, name+"-arm")
				name += "-multi"
			}
			b.Tag(repository, fmt.Sprintf("v%d", t), name)
		}
	}
}
