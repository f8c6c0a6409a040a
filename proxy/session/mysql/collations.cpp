// The numbers are the same in all MySQL and MariaDB servers; UCS-2, UTF-16 and UTF-32 are missing
// since no client may use them, 45 since origin connections log in with it.
#include "proxy/session/mysql/collations.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "proxy/wire/mysql/protocol.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

namespace {

struct Collation {
  std::uint16_t id;
  std::string_view names;
};
constexpr std::array<Collation, 142> kCollations = {{
    {1, "big5 COLLATE big5_chinese_ci"},
    {2, "latin2 COLLATE latin2_czech_cs"},
    {3, "dec8 COLLATE dec8_swedish_ci"},
    {4, "cp850 COLLATE cp850_general_ci"},
    {5, "latin1 COLLATE latin1_german1_ci"},
    {6, "hp8 COLLATE hp8_english_ci"},
    {7, "koi8r COLLATE koi8r_general_ci"},
    {8, "latin1 COLLATE latin1_swedish_ci"},
    {9, "latin2 COLLATE latin2_general_ci"},
    {10, "swe7 COLLATE swe7_swedish_ci"},
    {11, "ascii COLLATE ascii_general_ci"},
    {12, "ujis COLLATE ujis_japanese_ci"},
    {13, "sjis COLLATE sjis_japanese_ci"},
    {14, "cp1251 COLLATE cp1251_bulgarian_ci"},
    {15, "latin1 COLLATE latin1_danish_ci"},
    {16, "hebrew COLLATE hebrew_general_ci"},
    {18, "tis620 COLLATE tis620_thai_ci"},
    {19, "euckr COLLATE euckr_korean_ci"},
    {20, "latin7 COLLATE latin7_estonian_cs"},
    {21, "latin2 COLLATE latin2_hungarian_ci"},
    {22, "koi8u COLLATE koi8u_general_ci"},
    {23, "cp1251 COLLATE cp1251_ukrainian_ci"},
    {24, "gb2312 COLLATE gb2312_chinese_ci"},
    {25, "greek COLLATE greek_general_ci"},
    {26, "cp1250 COLLATE cp1250_general_ci"},
    {27, "latin2 COLLATE latin2_croatian_ci"},
    {28, "gbk COLLATE gbk_chinese_ci"},
    {29, "cp1257 COLLATE cp1257_lithuanian_ci"},
    {30, "latin5 COLLATE latin5_turkish_ci"},
    {31, "latin1 COLLATE latin1_german2_ci"},
    {32, "armscii8 COLLATE armscii8_general_ci"},
    {33, "utf8 COLLATE utf8_general_ci"},
    {34, "cp1250 COLLATE cp1250_czech_cs"},
    {36, "cp866 COLLATE cp866_general_ci"},
    {37, "keybcs2 COLLATE keybcs2_general_ci"},
    {38, "macce COLLATE macce_general_ci"},
    {39, "macroman COLLATE macroman_general_ci"},
    {40, "cp852 COLLATE cp852_general_ci"},
    {41, "latin7 COLLATE latin7_general_ci"},
    {42, "latin7 COLLATE latin7_general_cs"},
    {43, "macce COLLATE macce_bin"},
    {44, "cp1250 COLLATE cp1250_croatian_ci"},
    {46, "utf8mb4 COLLATE utf8mb4_bin"},
    {47, "latin1 COLLATE latin1_bin"},
    {48, "latin1 COLLATE latin1_general_ci"},
    {49, "latin1 COLLATE latin1_general_cs"},
    {50, "cp1251 COLLATE cp1251_bin"},
    {51, "cp1251 COLLATE cp1251_general_ci"},
    {52, "cp1251 COLLATE cp1251_general_cs"},
    {53, "macroman COLLATE macroman_bin"},
    {57, "cp1256 COLLATE cp1256_general_ci"},
    {58, "cp1257 COLLATE cp1257_bin"},
    {59, "cp1257 COLLATE cp1257_general_ci"},
    {63, "binary"},
    {64, "armscii8 COLLATE armscii8_bin"},
    {65, "ascii COLLATE ascii_bin"},
    {66, "cp1250 COLLATE cp1250_bin"},
    {67, "cp1256 COLLATE cp1256_bin"},
    {68, "cp866 COLLATE cp866_bin"},
    {69, "dec8 COLLATE dec8_bin"},
    {70, "greek COLLATE greek_bin"},
    {71, "hebrew COLLATE hebrew_bin"},
    {72, "hp8 COLLATE hp8_bin"},
    {73, "keybcs2 COLLATE keybcs2_bin"},
    {74, "koi8r COLLATE koi8r_bin"},
    {75, "koi8u COLLATE koi8u_bin"},
    {76, "utf8 COLLATE utf8_tolower_ci"},
    {77, "latin2 COLLATE latin2_bin"},
    {78, "latin5 COLLATE latin5_bin"},
    {79, "latin7 COLLATE latin7_bin"},
    {80, "cp850 COLLATE cp850_bin"},
    {81, "cp852 COLLATE cp852_bin"},
    {82, "swe7 COLLATE swe7_bin"},
    {83, "utf8 COLLATE utf8_bin"},
    {84, "big5 COLLATE big5_bin"},
    {85, "euckr COLLATE euckr_bin"},
    {86, "gb2312 COLLATE gb2312_bin"},
    {87, "gbk COLLATE gbk_bin"},
    {88, "sjis COLLATE sjis_bin"},
    {89, "tis620 COLLATE tis620_bin"},
    {91, "ujis COLLATE ujis_bin"},
    {92, "geostd8 COLLATE geostd8_general_ci"},
    {93, "geostd8 COLLATE geostd8_bin"},
    {94, "latin1 COLLATE latin1_spanish_ci"},
    {95, "cp932 COLLATE cp932_japanese_ci"},
    {96, "cp932 COLLATE cp932_bin"},
    {97, "eucjpms COLLATE eucjpms_japanese_ci"},
    {98, "eucjpms COLLATE eucjpms_bin"},
    {99, "cp1250 COLLATE cp1250_polish_ci"},
    {192, "utf8 COLLATE utf8_unicode_ci"},
    {193, "utf8 COLLATE utf8_icelandic_ci"},
    {194, "utf8 COLLATE utf8_latvian_ci"},
    {195, "utf8 COLLATE utf8_romanian_ci"},
    {196, "utf8 COLLATE utf8_slovenian_ci"},
    {197, "utf8 COLLATE utf8_polish_ci"},
    {198, "utf8 COLLATE utf8_estonian_ci"},
    {199, "utf8 COLLATE utf8_spanish_ci"},
    {200, "utf8 COLLATE utf8_swedish_ci"},
    {201, "utf8 COLLATE utf8_turkish_ci"},
    {202, "utf8 COLLATE utf8_czech_ci"},
    {203, "utf8 COLLATE utf8_danish_ci"},
    {204, "utf8 COLLATE utf8_lithuanian_ci"},
    {205, "utf8 COLLATE utf8_slovak_ci"},
    {206, "utf8 COLLATE utf8_spanish2_ci"},
    {207, "utf8 COLLATE utf8_roman_ci"},
    {208, "utf8 COLLATE utf8_persian_ci"},
    {209, "utf8 COLLATE utf8_esperanto_ci"},
    {210, "utf8 COLLATE utf8_hungarian_ci"},
    {211, "utf8 COLLATE utf8_sinhala_ci"},
    {212, "utf8 COLLATE utf8_german2_ci"},
    {213, "utf8 COLLATE utf8_croatian_ci"},
    {214, "utf8 COLLATE utf8_unicode_520_ci"},
    {215, "utf8 COLLATE utf8_vietnamese_ci"},
    {223, "utf8 COLLATE utf8_general_mysql500_ci"},
    {224, "utf8mb4 COLLATE utf8mb4_unicode_ci"},
    {225, "utf8mb4 COLLATE utf8mb4_icelandic_ci"},
    {226, "utf8mb4 COLLATE utf8mb4_latvian_ci"},
    {227, "utf8mb4 COLLATE utf8mb4_romanian_ci"},
    {228, "utf8mb4 COLLATE utf8mb4_slovenian_ci"},
    {229, "utf8mb4 COLLATE utf8mb4_polish_ci"},
    {230, "utf8mb4 COLLATE utf8mb4_estonian_ci"},
    {231, "utf8mb4 COLLATE utf8mb4_spanish_ci"},
    {232, "utf8mb4 COLLATE utf8mb4_swedish_ci"},
    {233, "utf8mb4 COLLATE utf8mb4_turkish_ci"},
    {234, "utf8mb4 COLLATE utf8mb4_czech_ci"},
    {235, "utf8mb4 COLLATE utf8mb4_danish_ci"},
    {236, "utf8mb4 COLLATE utf8mb4_lithuanian_ci"},
    {237, "utf8mb4 COLLATE utf8mb4_slovak_ci"},
    {238, "utf8mb4 COLLATE utf8mb4_spanish2_ci"},
    {239, "utf8mb4 COLLATE utf8mb4_roman_ci"},
    {240, "utf8mb4 COLLATE utf8mb4_persian_ci"},
    {241, "utf8mb4 COLLATE utf8mb4_esperanto_ci"},
    {242, "utf8mb4 COLLATE utf8mb4_hungarian_ci"},
    {243, "utf8mb4 COLLATE utf8mb4_sinhala_ci"},
    {244, "utf8mb4 COLLATE utf8mb4_german2_ci"},
    {245, "utf8mb4 COLLATE utf8mb4_croatian_ci"},
    {246, "utf8mb4 COLLATE utf8mb4_unicode_520_ci"},
    {247, "utf8mb4 COLLATE utf8mb4_vietnamese_ci"},
    {248, "gb18030 COLLATE gb18030_chinese_ci"},
    {249, "gb18030 COLLATE gb18030_bin"},
    {250, "gb18030 COLLATE gb18030_unicode_520_ci"},
    {255, "utf8mb4 COLLATE utf8mb4_0900_ai_ci"},
}};

/// MariaDB's own, below those of Unicode 14.
constexpr std::array<Collation, 84> kMariadbs = {{
    {213, "utf8 COLLATE utf8_croatian_mysql561_ci"},
    {245, "utf8mb4 COLLATE utf8mb4_croatian_mysql561_ci"},
    {576, "utf8mb3 COLLATE utf8mb3_croatian_ci"},
    {577, "utf8mb3 COLLATE utf8mb3_myanmar_ci"},
    {578, "utf8mb3 COLLATE utf8mb3_thai_520_w2"},
    {579, "utf8mb3 COLLATE utf8mb3_general1400_as_ci"},
    {608, "utf8mb4 COLLATE utf8mb4_croatian_ci"},
    {609, "utf8mb4 COLLATE utf8mb4_myanmar_ci"},
    {610, "utf8mb4 COLLATE utf8mb4_thai_520_w2"},
    {611, "utf8mb4 COLLATE utf8mb4_general1400_as_ci"},
    {1025, "big5 COLLATE big5_chinese_nopad_ci"},
    {1027, "dec8 COLLATE dec8_swedish_nopad_ci"},
    {1028, "cp850 COLLATE cp850_general_nopad_ci"},
    {1030, "hp8 COLLATE hp8_english_nopad_ci"},
    {1031, "koi8r COLLATE koi8r_general_nopad_ci"},
    {1032, "latin1 COLLATE latin1_swedish_nopad_ci"},
    {1033, "latin2 COLLATE latin2_general_nopad_ci"},
    {1034, "swe7 COLLATE swe7_swedish_nopad_ci"},
    {1035, "ascii COLLATE ascii_general_nopad_ci"},
    {1036, "ujis COLLATE ujis_japanese_nopad_ci"},
    {1037, "sjis COLLATE sjis_japanese_nopad_ci"},
    {1040, "hebrew COLLATE hebrew_general_nopad_ci"},
    {1042, "tis620 COLLATE tis620_thai_nopad_ci"},
    {1043, "euckr COLLATE euckr_korean_nopad_ci"},
    {1046, "koi8u COLLATE koi8u_general_nopad_ci"},
    {1048, "gb2312 COLLATE gb2312_chinese_nopad_ci"},
    {1049, "greek COLLATE greek_general_nopad_ci"},
    {1050, "cp1250 COLLATE cp1250_general_nopad_ci"},
    {1052, "gbk COLLATE gbk_chinese_nopad_ci"},
    {1054, "latin5 COLLATE latin5_turkish_nopad_ci"},
    {1056, "armscii8 COLLATE armscii8_general_nopad_ci"},
    {1057, "utf8mb3 COLLATE utf8mb3_general_nopad_ci"},
    {1060, "cp866 COLLATE cp866_general_nopad_ci"},
    {1061, "keybcs2 COLLATE keybcs2_general_nopad_ci"},
    {1062, "macce COLLATE macce_general_nopad_ci"},
    {1063, "macroman COLLATE macroman_general_nopad_ci"},
    {1064, "cp852 COLLATE cp852_general_nopad_ci"},
    {1065, "latin7 COLLATE latin7_general_nopad_ci"},
    {1067, "macce COLLATE macce_nopad_bin"},
    {1069, "utf8mb4 COLLATE utf8mb4_general_nopad_ci"},
    {1070, "utf8mb4 COLLATE utf8mb4_nopad_bin"},
    {1071, "latin1 COLLATE latin1_nopad_bin"},
    {1074, "cp1251 COLLATE cp1251_nopad_bin"},
    {1075, "cp1251 COLLATE cp1251_general_nopad_ci"},
    {1077, "macroman COLLATE macroman_nopad_bin"},
    {1081, "cp1256 COLLATE cp1256_general_nopad_ci"},
    {1082, "cp1257 COLLATE cp1257_nopad_bin"},
    {1083, "cp1257 COLLATE cp1257_general_nopad_ci"},
    {1088, "armscii8 COLLATE armscii8_nopad_bin"},
    {1089, "ascii COLLATE ascii_nopad_bin"},
    {1090, "cp1250 COLLATE cp1250_nopad_bin"},
    {1091, "cp1256 COLLATE cp1256_nopad_bin"},
    {1092, "cp866 COLLATE cp866_nopad_bin"},
    {1093, "dec8 COLLATE dec8_nopad_bin"},
    {1094, "greek COLLATE greek_nopad_bin"},
    {1095, "hebrew COLLATE hebrew_nopad_bin"},
    {1096, "hp8 COLLATE hp8_nopad_bin"},
    {1097, "keybcs2 COLLATE keybcs2_nopad_bin"},
    {1098, "koi8r COLLATE koi8r_nopad_bin"},
    {1099, "koi8u COLLATE koi8u_nopad_bin"},
    {1101, "latin2 COLLATE latin2_nopad_bin"},
    {1102, "latin5 COLLATE latin5_nopad_bin"},
    {1103, "latin7 COLLATE latin7_nopad_bin"},
    {1104, "cp850 COLLATE cp850_nopad_bin"},
    {1105, "cp852 COLLATE cp852_nopad_bin"},
    {1106, "swe7 COLLATE swe7_nopad_bin"},
    {1107, "utf8mb3 COLLATE utf8mb3_nopad_bin"},
    {1108, "big5 COLLATE big5_nopad_bin"},
    {1109, "euckr COLLATE euckr_nopad_bin"},
    {1110, "gb2312 COLLATE gb2312_nopad_bin"},
    {1111, "gbk COLLATE gbk_nopad_bin"},
    {1112, "sjis COLLATE sjis_nopad_bin"},
    {1113, "tis620 COLLATE tis620_nopad_bin"},
    {1115, "ujis COLLATE ujis_nopad_bin"},
    {1116, "geostd8 COLLATE geostd8_general_nopad_ci"},
    {1117, "geostd8 COLLATE geostd8_nopad_bin"},
    {1119, "cp932 COLLATE cp932_japanese_nopad_ci"},
    {1120, "cp932 COLLATE cp932_nopad_bin"},
    {1121, "eucjpms COLLATE eucjpms_japanese_nopad_ci"},
    {1122, "eucjpms COLLATE eucjpms_nopad_bin"},
    {1216, "utf8mb3 COLLATE utf8mb3_unicode_nopad_ci"},
    {1238, "utf8mb3 COLLATE utf8mb3_unicode_520_nopad_ci"},
    {1248, "utf8mb4 COLLATE utf8mb4_unicode_nopad_ci"},
    {1270, "utf8mb4 COLLATE utf8mb4_unicode_520_nopad_ci"},
}};

/// Unicode 14 at MariaDB (10.10): from 2048 for utf8mb3, from 2304 for utf8mb4; eight of each
/// language.
std::string unicode_14(std::uint16_t id) {
  constexpr std::uint16_t kFirst = 2048, kOfEach = 256;
  constexpr std::array<std::string_view, 25> kLanguages = {
      "",         "icelandic", "latvian",    "romanian",  "slovenian", "polish",     "estonian",
      "spanish",  "swedish",   "turkish",    "czech",     "danish",    "lithuanian", "slovak",
      "spanish2", "roman",     "persian",    "esperanto", "hungarian", "sinhala",    "german2",
      "-",        "-",         "vietnamese", "croatian"};
  if (id < kFirst || id >= kFirst + 2 * kOfEach) return {};
  const std::size_t language = id % kOfEach / 8;
  if (language >= kLanguages.size() || kLanguages[language] == "-") return {};
  const std::string charset = id < kFirst + kOfEach ? "utf8mb3" : "utf8mb4";
  std::string name = charset + " COLLATE " + charset + "_uca1400";
  if (language > 0) name.append(1, '_').append(kLanguages[language]);
  if ((id & 4) != 0) name += "_nopad";
  name += (id & 2) != 0 ? "_as" : "_ai";
  return name + ((id & 1) != 0 ? "_cs" : "_ci");
}

constexpr std::uint16_t kLastUnicode9 = 323;

/// Unicode 9 at MySQL 8, behind utf8mb4_0900_ai_ci.
std::string unicode_9(std::uint16_t id) {
  constexpr std::uint16_t kAccents = 23;  // from a language's ai_ci to its as_cs
  constexpr std::array<std::string_view, 22> kLanguages = {
      "de_pb", "is", "lv", "ro",      "sl", "pl", "et", "es", "sv", "tr", "cs",
      "da",    "lt", "sk", "es_trad", "la", "-",  "eo", "hu", "hr", "-",  "vi"};
  constexpr std::array<Collation, 8> kOthers = {{{278, "0900_as_cs"},
                                                 {303, "ja_0900_as_cs"},
                                                 {304, "ja_0900_as_cs_ks"},
                                                 {305, "0900_as_ci"},
                                                 {306, "ru_0900_ai_ci"},
                                                 {307, "ru_0900_as_cs"},
                                                 {308, "zh_0900_as_cs"},
                                                 {309, "0900_bin"}}};
  constexpr std::array<std::string_view, 7> kLater = {"nb", "nn", "sr_latn", "bs",
                                                      "bg", "gl", "mn_cyrl"};
  constexpr std::uint16_t kFirst = 256, kFirstLater = 310;
  const std::string_view both[] = {"_0900_ai_ci", "_0900_as_cs"};
  std::string name;
  for (const Collation& other : kOthers) {
    if (other.id == id) name = other.names;
  }
  const bool accents = id >= kFirst + kAccents;
  const std::size_t language = id - kFirst - (accents ? kAccents : 0);
  if (name.empty() && id >= kFirst && language < kLanguages.size()) {
    if (kLanguages[language] != "-") name = std::string(kLanguages[language]) += both[accents];
  } else if (id >= kFirstLater && id < kFirstLater + 2 * kLater.size()) {
    name = std::string(kLater[(id - kFirstLater) / 2]) += both[(id - kFirstLater) % 2];
  }
  return name.empty() ? name : "utf8mb4 COLLATE utf8mb4_" + name;
}

template <std::size_t n>
std::string find(const std::array<Collation, n>& among, std::uint16_t id) {
  const auto found =
      std::lower_bound(among.begin(), among.end(), id,
                       [](const Collation& it, std::uint16_t wanted) { return it.id < wanted; });
  return found == among.end() || found->id != id ? std::string() : std::string(found->names);
}

/// One that this MariaDB lacks: gb18030 and what else MySQL alone has; of Unicode 9 it knows most,
/// as other names for its own, since 11.4.5; of the rest some are young.
bool is_missing(std::uint16_t id, unsigned mariadb_version) {
  constexpr unsigned kUnicode9Since = 110405, kGeneral1400Since = 110500;
  if (id == 76 || (id >= 248 && id <= 250)) return true;
  if (id >= 255 && id <= kLastUnicode9) {
    return mariadb_version < kUnicode9Since || (id > 301 && id != 305 && id != 309);
  }
  return (id == 579 || id == 611) && mariadb_version < kGeneral1400Since;
}

std::string named(std::uint16_t id, const sql::MysqlServer& server) {
  if (server.is_mariadb) {
    if (is_missing(id, server.version)) return {};
    if (id >= 2048) return unicode_14(id);
    if (std::string own = find(kMariadbs, id); !own.empty()) return own;
  }
  return id > 255 ? unicode_9(id) : find(kCollations, id);
}

/// The ones that character sets have by default, unless the server's character_set_collations says
/// otherwise: MariaDB 11 takes such a number for the character set alone.
bool is_default(std::uint16_t id) {
  constexpr std::array<std::uint16_t, 35> kDefaults = {
      1,  3,  4,  6,  7,  8,  9,  10, 11, 12, 13, 16, 18, 19, 22, 24, 25, 26,
      28, 30, 32, 33, 36, 37, 38, 39, 40, 41, 51, 57, 59, 63, 92, 95, 97};
  return std::binary_search(kDefaults.begin(), kDefaults.end(), id);
}

}  // namespace

std::string names_of_collation(std::uint16_t id, const sql::MysqlServer& server) {
  if (id == my::kUtf8mb4GeneralCi) return {};
  std::string names = named(id, server);
  if (server.is_mariadb && is_default(id)) names.resize(std::min(names.find(' '), names.size()));
  return names.empty() ? "DEFAULT" : names;
}

std::string_view wide_charset(std::uint16_t id) {
  struct Range {
    std::uint16_t first, last;
    std::string_view charset;
  };
  constexpr std::array<Range, 16> kWide = {{{35, 35, "ucs2"},
                                            {54, 55, "utf16"},
                                            {56, 56, "utf16le"},
                                            {60, 61, "utf32"},
                                            {62, 62, "utf16le"},
                                            {90, 90, "ucs2"},
                                            {101, 124, "utf16"},
                                            {128, 151, "ucs2"},
                                            {159, 159, "ucs2"},
                                            {160, 183, "utf32"},
                                            {640, 642, "ucs2"},
                                            {672, 674, "utf16"},
                                            {736, 738, "utf32"},
                                            {2560, 2815, "ucs2"},
                                            {2816, 3071, "utf16"},
                                            {3072, 3327, "utf32"}}};
  // MariaDB's, without padding, are 1024 above the others.
  const int number = id >= 1024 && id < 2048 ? id - 1024 : id;
  for (const Range& range : kWide) {
    if (number >= range.first && number <= range.last) return range.charset;
  }
  return {};
}

}  // namespace hyperdrive::proxy::session::mysql
