# Run by kling_embed: one text file as a string_view of an array of bytes.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
string(REGEX REPLACE "('....','....','....','....','....','....','....','....',)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "#include <string_view>\n\nnamespace kling {\nextern const std::string_view ${SYMBOL};\n"
  "static constexpr char ${SYMBOL}Text[] = {\n${bytes}\n0};\n"
  "constexpr std::string_view ${SYMBOL}(${SYMBOL}Text, sizeof ${SYMBOL}Text - 1);\n}\n")
