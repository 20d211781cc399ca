// PrismWire
