// Package tree writes registry storage trees to measure with: as large as is
// wanted, the same for the same seed, and as fast as the disk takes them.
//
// They are what distribution leaves on disk, and a registry serves them. Layers
// are gzip of a tar of random bytes, so that no client finds anything to compress.
package tree

import (
	"fmt"
	"math/rand/v2"
)

// Shape says what is in a tree. What is in a repository depends on the seed and
// its number alone: a tree with fewer repositories is the beginning of the larger.
type Shape struct {
	Name         string
	Repositories int
	Tags         int // of each repository, each with a manifest of its own
	MultiEvery   int // each so many tags, one is an index of two platforms; 0: none
	Layers       int // of an image of one platform; every other image has one more

	Pool  int    // layers that repositories share, those of the second platform last
	Draws [2]int // of the pool, by platform, that a repository takes
	Own   int    // layers that only one repository has, on the first platform

	sizes func(*rand.Rand) int64 // of a layer's file, bytes
}

// The trees that are measured. L: many tags, small blobs that are shared a lot.
// B: few and large blobs. X: L's kind of repository, with twenty times as many tags.
var (
	L = Shape{
		Name: "L", Repositories: 500, Tags: 10, MultiEvery: 5, Layers: 9,
		Pool: 1489, Draws: [2]int{18, 14}, Own: 5, sizes: small,
	}
	B = Shape{
		Name: "B", Repositories: 10, Tags: 3, Layers: 2,
		Pool: 3, Draws: [2]int{1, 0}, Own: 3, sizes: large(1 << 20),
	}
	X = Shape{
		Name: "X", Repositories: 2000, Tags: 50, MultiEvery: 5, Layers: 9,
		Pool: 1489, Draws: [2]int{18, 14}, Own: 5, sizes: small,
	}
)

// LittleB is B for a smoke run: of 4 MiB where B has 4 GiB.
var LittleB = func() Shape {
	s := B
	s.Name, s.sizes = "B-small", large(1<<10)
	return s
}()

// First is the tree of a shape's first repositories.
func (s Shape) First(repositories int) Shape {
	s.Name = fmt.Sprintf("%s-%d", s.Name, repositories)
	s.Repositories = repositories
	return s
}

// AllTags is how many tags a tree has.
func (s Shape) AllTags() int { return s.Repositories * s.Tags }

// Names are those of its repositories.
func (s Shape) Names() []string {
	names := make([]string, s.Repositories)
	for n := range names {
		names[n] = repository(n)
	}
	return names
}

// small is 1 KiB to 1 MiB, 34 KiB on average: most are smaller than that.
func small(r *rand.Rand) int64 {
	return min(1<<10+int64(r.ExpFloat64()*(33<<10)), 1<<20)
}

// large is 50 to 200 units.
func large(unit int64) func(*rand.Rand) int64 {
	return func(r *rand.Rand) int64 { return 50*unit + r.Int64N(150*unit) }
}

// repository is the name of a repository by its number. There are 25 in a
// group, in eight parts of it.
func repository(n int) string {
	return fmt.Sprintf("group-%02d/part-%d/app-%04d", n/25, n%25*8/25, n)
}

func tag(n int) string { return fmt.Sprintf("v1.%d.%d", n/10, n%10) }

// random is a source of random numbers that belongs to a name.
func random(seed uint64, name string) *rand.Rand {
	return rand.New(stream(seed, name))
}
