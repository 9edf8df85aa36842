// Package packet sends packets that a test has made itself, around what a socket usually passes. It needs root.
package packet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Datagram is a whole UDP packet without a payload, from any port.
func Datagram(src, dst netip.Addr, port uint16) []byte {
	udp := append(binary.BigEndian.AppendUint16([]byte{0x10, 0}, port), 0, 8, 0, 0) // nobody whom it must not reach asks for a sum
	if dst.Is6() {
		p := []byte{0x60, 0, 0, 0, 0, byte(len(udp)), unix.IPPROTO_UDP, 64}
		return append(append(append(p, src.AsSlice()...), dst.AsSlice()...), udp...)
	}
	p := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	p = append(append(p, src.AsSlice()...), dst.AsSlice()...)
	sum := uint32(0)
	for i := 0; i < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
	return append(p, udp...)
}

// Raw hands a packet of IPv4 to the kernel with its header on, for an interface, or with none named for the one that it is routed to. That
// it was dropped on its way out is no error.
func Raw(packet []byte, device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if device != "" {
		if err := unix.BindToDevice(fd, device); err != nil {
			return err
		}
	}
	err = unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])})
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// Frame hands a packet to an interface, for a neighbour; mark is the socket's, and options are what it is told to do. That the interface dropped
// it is no error.
func Frame(packet []byte, device string, to net.HardwareAddr, mark int, options ...int) error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
		return err
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, o, 1); err != nil {
			return err
		}
	}
	protocol := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		protocol = unix.ETH_P_IPV6
	}
	neighbour := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: link.Index, Halen: uint8(len(to))}
	copy(neighbour.Addr[:], to)
	err = unix.Sendto(fd, packet, 0, neighbour)
	if errors.Is(err, unix.ENOBUFS) {
		return nil
	}
	return err
}
