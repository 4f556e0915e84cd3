//go:build !linux

package alive

import "os"

func lock(*os.File) error { return ErrUnknown }

func try(*os.File) (bool, error) { return false, ErrUnknown }

func identity(*os.File) (string, error) { return "", ErrUnknown }
