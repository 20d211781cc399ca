// libyaml's event parser; used by PrismConfiguration only.
#ifndef PRISM_CYAML_H
#define PRISM_CYAML_H

#include <yaml.h>

#endif
