// PrismCore
