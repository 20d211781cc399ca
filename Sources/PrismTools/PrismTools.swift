// PrismTools
