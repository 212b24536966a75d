// Prints where the runtime of a Go executable keeps what the agent reads, from the executable's own DWARF: a row of
// ../go_offsets.cc. See table.sh.
package main

import (
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"log"
	"os"
	"strings"
)

// Struct and field, in the order of GoOffsets.
var wanted = [][2]string{
	{"runtime.g", "goid"}, {"runtime.g", "parentGoid"}, {"runtime.g", "m"},
	{"runtime.p", "goidcache"},
	{"runtime.hchan", "sendx"}, {"runtime.hchan", "recvx"}, {"runtime.hchan", "recvq"}, {"runtime.hchan", "sendq"},
}

func structs(file *elf.File) map[string]*dwarf.StructType {
	data, err := file.DWARF()
	if err != nil {
		log.Fatal(err)
	}
	out := map[string]*dwarf.StructType{}
	for reader := data.Reader(); ; {
		entry, err := reader.Next()
		if err != nil {
			log.Fatal(err)
		}
		if entry == nil {
			return out
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if entry.Tag != dwarf.TagStructType || !strings.HasPrefix(name, "runtime.") {
			continue
		}
		if kind, err := data.Type(entry.Offset); err == nil {
			out[name], _ = kind.(*dwarf.StructType)
		}
	}
}

func offset(s *dwarf.StructType, field string) int64 {
	if s != nil {
		for _, f := range s.Field {
			if f.Name == field {
				return f.ByteOffset
			}
		}
	}
	return -1
}

func main() {
	for _, path := range os.Args[1:] {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		file, err := elf.Open(path)
		if err != nil {
			log.Fatal(err)
		}
		types := structs(file)
		row := []string{}
		for _, w := range wanted {
			row = append(row, fmt.Sprint(offset(types[w[0]], w[1])))
		}
		fmt.Printf("%s %s %s\n", info.GoVersion, file.Machine, strings.Join(row, ", "))
	}
}
