# Run by kling_embed: one text file as a C++ array of bytes.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
string(REGEX REPLACE "('....','....','....','....','....','....','....','....',)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nnamespace kling::lua {\nconst char ${SYMBOL}[] = {\n${bytes}\n0};\n"
  "const std::size_t ${SYMBOL}Size = sizeof ${SYMBOL} - 1;\n}\n")
