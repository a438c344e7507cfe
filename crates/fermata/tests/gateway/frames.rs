//! WebSocket frames and handshakes by hand (RFC 6455 5.2 and 1.2).

use crate::talk::Talk;

/// The head of a handshake.
pub const HANDSHAKE: &str = "GET /chat HTTP/1.1
Host: app
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13

";

/// The head of the answer to it.
pub const SWITCH: &str = "HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=

";

/// A masked frame, as a client sends it; the mask hides nothing.
pub fn masked(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut frame = head(opcode, payload.as_ref().len(), 0x80);
    frame.extend([0; 4]);
    frame.extend(payload.as_ref());
    frame
}

/// A frame as a service sends it.
pub fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut frame = head(opcode, payload.as_ref().len(), 0);
    frame.extend(payload.as_ref());
    frame
}

/// The payload of a Close.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

fn head(opcode: u8, length: usize, mask: u8) -> Vec<u8> {
    let mut head = vec![0x80 | opcode];
    match length {
        0..=125 => head.push(mask | length as u8),
        126..=0xFFFF => {
            head.push(mask | 0x7e);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(mask | 0x7f);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

impl Talk {
    /// Reads a frame, unmasked: its opcode and its payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.bytes(2);
        let length = match head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(self.bytes(2).try_into().expect("two bytes"))),
            127 => u64::from_be_bytes(self.bytes(8).try_into().expect("eight bytes")),
            short => u64::from(short),
        };
        let mask = if head[1] & 0x80 == 0 { vec![0; 4] } else { self.bytes(4) };
        let payload = self.bytes(length as usize);
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        (head[0] & 0xF, payload)
    }

    /// Reads a Close: its code and its reason.
    pub fn closed(&mut self) -> (u16, String) {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, 8, "no Close: {}", String::from_utf8_lossy(&payload));
        let (code, reason) = payload.split_at(payload.len().min(2));
        (code.try_into().map_or(1005, u16::from_be_bytes), String::from_utf8_lossy(reason).into_owned())
    }
}
