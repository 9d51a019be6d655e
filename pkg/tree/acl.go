package tree

import "encoding/binary"

// The parts of a POSIX access control list, as acl(5) names them, and their tags in
// what Linux keeps of one: include/uapi/linux/posix_acl.h.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// The extended attribute is a version and then entries of a tag, a permission and
// an id, all little-endian: include/uapi/linux/posix_acl_xattr.h.
const (
	aclVersion   = 2
	aclHead      = 4 // bytes
	aclEntrySize = 8 // bytes
	aclRead      = 4 // a permission
)

// aclReads tells whether an access control list surely lets a user read a file of
// another user's and of a group. Of the groups that he may be in, his own is known
// alone: where any other would keep him out, it is not sure.
func aclReads(list []byte, o owner, group int) bool {
	if len(list) < aclHead || binary.LittleEndian.Uint32(list) != aclVersion || (len(list)-aclHead)%aclEntrySize != 0 {
		return false
	}
	mask, named, own, anyGroup, other := true, byACL{}, byACL{}, byACL{}, byACL{}
	for at := list[aclHead:]; len(at) > 0; at = at[aclEntrySize:] {
		tag, reads := binary.LittleEndian.Uint16(at), binary.LittleEndian.Uint16(at[2:])&aclRead != 0
		id := int(binary.LittleEndian.Uint32(at[4:]))
		switch {
		case tag == aclMask:
			mask = reads
		case tag == aclUser && id == o.uid:
			named.add(reads)
		case tag == aclGroupObj || tag == aclGroup:
			anyGroup.add(reads)
			if (tag == aclGroupObj && group == o.gid) || (tag == aclGroup && id == o.gid) {
				own.add(reads)
			}
		case tag == aclOther:
			other.add(reads)
		}
	}
	switch {
	case named.found:
		return named.reads && mask
	case own.found:
		return own.reads && mask
	}
	return other.found && other.reads && !anyGroup.denies && mask
}

// byACL is what entries of one kind say.
type byACL struct{ found, reads, denies bool }

func (b *byACL) add(reads bool) {
	b.found = true
	b.reads = b.reads || reads
	b.denies = b.denies || !reads
}
