#include "proxy/session/mysql/cache_answer.hpp"

#include <algorithm>
#include <utility>

#include "proxy/wire/mysql/cursor.hpp"
#include "proxy/wire/mysql/packet.hpp"
#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

namespace {

/// Kept as bytes that mean the same on every machine: a shared tier has them, too.
struct KeptEnd {
  std::uint32_t packets = 0;  ///< that hold rows; an answer has 50 MB at most
  std::uint32_t columns = 0;
  std::uint16_t status = 0;
};

std::string to_bytes(const KeptEnd& end) {
  std::string bytes;
  my::PayloadWriter(bytes).u32(end.packets).u32(end.columns).u16(end.status);
  return bytes;
}

KeptEnd kept_end(const cache::Entry& entry) {
  my::Cursor cursor(entry.tail());
  KeptEnd end;
  end.packets = cursor.u32();
  end.columns = cursor.u32();
  end.status = cursor.u16();
  return end;
}

/// Flags that say nothing of the session that asked, or only what its state says.
constexpr std::uint16_t kNoGoodIndex = 0x10, kNoIndex = 0x20, kNoBackslash = 0x200, kSlow = 0x800,
                        kAnsiQuotes = 0x8000;
constexpr std::uint16_t kUsual =
    my::status::kAutocommit | kNoGoodIndex | kNoIndex | kNoBackslash | kSlow | kAnsiQuotes;

/// Packets are renumbered in slices of any size: `left` is what is missing of the present one.
struct Renumbering {
  std::uint8_t by = 0;
  std::size_t at = 0;  ///< bytes of the present packet seen
  std::size_t size = my::kHeaderSize;
  char header[my::kHeaderSize];

  void copy(std::string& out, net::Bytes bytes) {
    while (!bytes.empty()) {
      if (at < my::kHeaderSize) {
        header[at++] = bytes.front();
        bytes.remove_prefix(1);
        if (at < my::kHeaderSize) continue;
        size = my::read_header(header).size();
        header[3] = static_cast<char>(header[3] + by);
        out.append(header, sizeof header);
      } else {
        const std::size_t n = std::min(size - at, bytes.size());
        out.append(bytes.substr(0, n));
        bytes.remove_prefix(n);
        at += n;
      }
      if (at >= my::kHeaderSize && at == size) at = 0;
    }
  }
};

}  // namespace

bool AnswerReader::deprecates_eof() const {
  return (capabilities_ & my::capability::kDeprecateEof) != 0;
}

void AnswerReader::read(net::Bytes bytes) {
  while (!bytes.empty() && clean_) {
    if (header_.size() < my::kHeaderSize) {
      const std::size_t n = std::min(my::kHeaderSize - header_.size(), bytes.size());
      header_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (header_.size() < my::kHeaderSize) return;
      const my::Header header = my::read_header(header_.data());
      length_ = header.length;
      left_ = header.length;
      knows_kind_ = phase_ != Phase::kRows || continues_ || left_ == 0;
      streams_ = phase_ == Phase::kRows;
      payload_.clear();
      kept_header_ = false;
      if (phase_ == Phase::kEnd) clean_ = false;
    }
    if (!knows_kind_) {
      if (bytes.empty()) return;
      knows_kind_ = true;
      const auto first = static_cast<std::uint8_t>(bytes.front());
      const bool ends =
          first == my::reply::kEof && (deprecates_eof() ? length_ < my::kMaxPayload : length_ == 5);
      if (ends || first == my::reply::kErr) streams_ = false;
    }
    if (streams_ && !std::exchange(kept_header_, true)) {
      header_[3] = static_cast<char>(header_[3] - (deprecates_eof() ? 0 : 1));
      rows_.append(header_);
    }
    const std::size_t n = std::min(left_, bytes.size());
    if (streams_) {
      rows_.append(bytes.substr(0, n));
    } else {
      payload_.append(bytes.substr(0, n));
    }
    bytes.remove_prefix(n);
    left_ -= n;
    if (left_ == 0) end_packet();
  }
}

void AnswerReader::end_packet() {
  const bool continues = length_ == my::kMaxPayload;
  if (streams_) {
    ++packets_;
    if (!continues) ++row_count_;
    continues_ = continues;
    header_.clear();
    return;
  }
  switch (phase_) {
    case Phase::kCount: {
      const auto count = my::reply_kind(payload_) == my::ReplyKind::kResultSet
                             ? my::parse_column_count(payload_, capabilities_)
                             : std::nullopt;
      clean_ = clean_ && count && count->metadata_follows && count->columns > 0;
      columns_ = count ? count->columns : 0;
      head_.append(header_).append(payload_);
      phase_ = Phase::kColumns;
      break;
    }
    case Phase::kColumns:
      head_.append(header_).append(payload_);
      if (--columns_ == 0) phase_ = deprecates_eof() ? Phase::kRows : Phase::kColumnsEnd;
      break;
    case Phase::kColumnsEnd:
      clean_ = my::parse_eof(payload_).has_value();
      phase_ = Phase::kRows;
      break;
    case Phase::kRows: {
      my::Ok ok;
      if (deprecates_eof()) {
        const auto parsed = my::parse_ok(payload_, capabilities_);
        clean_ = parsed.has_value();
        if (parsed) ok = *parsed;
      } else {
        const auto eof = my::parse_eof(payload_);
        clean_ = eof.has_value();
        if (eof) ok.status = eof->status, ok.warnings = eof->warnings;
      }
      clean_ = clean_ && ok.warnings == 0 && ok.affected_rows == 0 && ok.last_insert_id == 0 &&
               (ok.status & ~kUsual) == 0 && (ok.status & my::status::kAutocommit) != 0;
      status_ = static_cast<std::uint16_t>(ok.status & ~kSlow);
      phase_ = Phase::kEnd;
      break;
    }
    case Phase::kEnd:
      clean_ = false;
  }
  header_.clear();
}

std::string AnswerReader::tail() const {
  KeptEnd end{static_cast<std::uint32_t>(packets_), 0, status_};
  // The count's own packet is the first of the head.
  for (std::size_t at = 0; at < head_.size(); ++end.columns) {
    at += my::read_header(head_.data() + at).size();
  }
  return to_bytes(end);
}

std::size_t serve(net::Stream& stream, std::string& scratch, const cache::Entry& entry,
                  std::uint64_t capabilities) {
  constexpr std::size_t kSmall = 8 * 1024;
  const KeptEnd end = kept_end(entry);
  const bool no_eof = (capabilities & my::capability::kDeprecateEof) != 0;
  auto sequence = static_cast<std::uint8_t>(end.columns + 1);
  std::size_t written = 0;
  scratch.assign(entry.head());
  const auto flush = [&] {
    stream.write(scratch);
    written += scratch.size();
    scratch.clear();
  };
  if (!no_eof) my::append_packet(scratch, sequence++, my::build_eof({0, end.status}));
  if (no_eof && entry.rows_size() > kSmall) {
    // Long ones are not copied twice.
    flush();
    entry.rows([&](net::Bytes piece) {
      stream.write(piece);
      written += piece.size();
    });
  } else {
    Renumbering renumbering;
    renumbering.by = no_eof ? 0 : 1;
    entry.rows([&](net::Bytes piece) {
      if (no_eof) {
        scratch += piece;
      } else {
        renumbering.copy(scratch, piece);
      }
      if (scratch.size() > kSmall) flush();
    });
  }
  sequence = static_cast<std::uint8_t>(sequence + end.packets);
  my::Ok ok;
  ok.status = end.status;
  my::append_packet(
      scratch, sequence,
      no_eof ? my::build_ok(ok, capabilities, my::reply::kEof) : my::build_eof({0, end.status}));
  flush();
  return written;
}

}  // namespace hyperdrive::proxy::session::mysql
