package config

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Setting describes one setting as it stands.
type Setting struct {
	Name        string `json:"name"`        // in the file
	Environment string `json:"environment"` // variable
	Flag        string `json:"flag"`        // empty where there is none
	Value       string `json:"value"`       // masked where it is secret
	Default     string `json:"default"`
	Origin      string `json:"origin"`
	About       string `json:"about"`
}

type field struct {
	index            int
	name, env, about string
}

// fields lists the settings in the order of Config. A secret has no name in the file.
func fields() []field {
	t := reflect.TypeFor[Config]()
	list := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "-" {
			name = strings.ToLower(f.Tag.Get("env"))
		}
		list = append(list, field{i, name, Prefix + f.Tag.Get("env"), f.Tag.Get("about")})
	}
	return list
}

// Describe returns every setting, with secrets masked.
func (c *Config) Describe(origin map[string]string) []Setting {
	now, standard := reflect.ValueOf(*c), reflect.ValueOf(Default())
	list := make([]Setting, 0, now.NumField())
	for _, f := range fields() {
		s := Setting{Name: f.name, Environment: f.env, Flag: "--" + strings.ReplaceAll(f.name, "_", "-"), About: f.about,
			Value: shown(now.Field(f.index)), Default: shown(standard.Field(f.index)), Origin: origin[f.name]}
		if f.name == "master_key" {
			s.Flag = ""
		}
		list = append(list, s)
	}
	return list
}

// shown is a value without what must not be read: secrets and passwords in URLs.
func shown(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case pan.Secret:
		if v.IsZero() {
			return ""
		}
		return v.String()
	case string:
		if u, err := url.Parse(v); err == nil && u.User != nil {
			return u.Redacted()
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
